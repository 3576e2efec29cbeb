"""The part of an audit that synthesises test clips again, with their ground-truth audio replaced."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from v2skit.data.changed_copy import Change, changed_copy
from v2skit.data.data_dir import Utterance, read_manifest
from v2skit.errors import UserError
from v2skit.media.ark import split_location
from v2skit.media.audio import read_audio
from v2skit.recipes import stages
from v2skit.recipes.findings import Audit
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.synth import folder
from v2skit.registry.build import build
from v2skit.synthesis.lip_reading import read_hypotheses
from v2skit.synthesis.written import HYPOTHESES
from v2skit.system.opened import opened
from v2skit.system.temporary import private_folder

NOISE_LEVEL = 0.1
"""Root mean square of the noise that replaces audio."""


@dataclass(frozen=True)
class Output:
    """What a row gives for a clip.

    Args:
        sound: its sound file.
        texts: what heads have read.
    """

    sound: bytes
    texts: tuple[str, ...]


def audit_input(recipe: Recipe, clips: int, found: Audit) -> None:
    """Synthesise test clips from copies of the test set: rows from video must give the same with other audio.

    Args:
        recipe: with a finished model.
        clips: number of test clips.
        found: gets the findings.

    Raises:
        UserError: there is no clip with audio and video, or synthesis fails.
    """
    rows = stages.experiment(recipe).rows(recipe)
    for name in [name for name, row in rows.items() if row.uses_reference_audio]:
        found.checked.append(f"row '{name}': its input is reference audio, by design; it is an upper bound")
    names = [name for name, row in rows.items() if not row.uses_reference_audio]
    if not names:
        found.checked.append("no row is synthesised from video")
        return
    utterances = [u for u in read_manifest(recipe.test) if u.video and u.audio]
    if not utterances:
        raise UserError(f"{recipe.test} has no clip with video and audio; stage 1 makes the test set")
    _reader(recipe)  # an error in what is stored for it names the data directory, not a copy
    rounds = _rounds(utterances, clips)
    ids = [key for chosen in rounds for key in chosen]
    differing: dict[str, set[str]] = {name: set() for name in names}
    references: set[str] = set()
    with private_folder("v2skit-audit") as temp:
        originals = [_copied(recipe, temp / f"original-{number}", chosen) for number, chosen in enumerate(rounds)]
        with opened({split_location(u.audio)[0] for u in utterances if u.audio}) as read:
            speech = {name: _synthesised(originals, name, rounds, temp / "speech") for name in names}
        _report_opened(read, names, found)
        for name in names:
            _compare_with_stored(recipe, name, speech[name], found)
        for kind, change in _changes(utterances, recipe.config.seed).items():
            copies = [
                _copied(recipe, temp / f"{kind}-{number}", chosen, dict.fromkeys(chosen, change))
                for number, chosen in enumerate(rounds)
            ]
            for original, copy, chosen in zip(originals, copies, rounds, strict=True):
                references |= _changed_references(original, copy, chosen)
            for name in names:
                changed = _synthesised(copies, name, rounds, temp / f"{kind}-speech")
                differing[name] |= {key for key in ids if changed[key] != speech[name][key]}
        _report_other_references(recipe, utterances, originals[0], rounds[0], temp / "others", found)
        again = {name: _synthesised(originals, name, rounds, temp / "again") for name in names if differing[name]}
        random = {name for name in again if again[name] != speech[name]}
    _report_references(references, ids, found)
    for name, keys in differing.items():
        _report_row(name, keys, ids, name in random, found)


def _report_opened(read: set[Path] | None, names: list[str], found: Audit) -> None:
    rows = f"synthesis of {', '.join(names)}"
    if read is None:
        found.checked.append("whether synthesis opens ground-truth audio can't be seen on this operating system")
    elif read:
        remedy = "take that out of the component that does (and let no other process read it during the audit)"
        found.find("input", f"{rows} opens ground-truth audio of the test set, e.g. {min(read)}; {remedy}")
    else:
        found.checked.append(f"{rows} opens no ground-truth audio of the test set")


def _report_references(references: set[str], ids: list[str], found: Audit) -> None:
    if references:
        count = f"the speaker reference of {len(references)} of {len(ids)} clips is of their own audio"
        remedy = "take it from other clips of the speaker, as d_vector does"
        found.find("reference", f"{count}, e.g. of {min(references)}; {remedy}")
    else:
        found.checked.append(f"the speaker references of {len(ids)} test clips do not depend on their own audio")


def _report_other_references(
    recipe: Recipe, utterances: list[Utterance], original: Recipe, chosen: list[str], copy: Path, found: Audit
) -> None:
    """Note whether the speaker references of clips are of other clips of the test set, which are scored too."""
    speakers = {u.speaker for u in utterances if u.id in chosen}
    others = [u.id for u in utterances if u.speaker in speakers and u.id not in chosen]
    noise = _changes(utterances, recipe.config.seed)["noise"]
    count = len(_changed_references(original, _copied(recipe, copy, chosen, dict.fromkeys(others, noise)), chosen))
    found.checked.append(f"{count} of {len(chosen)} speaker references are of other clips of the test set")


def _report_row(name: str, keys: set[str], ids: list[str], random: bool, found: Audit) -> None:
    if random:
        text = "the same input gives other speech each time, so that leaks can't be seen"
        found.find("input", f"row '{name}': {text}; give it a fixed seed, or --device cpu")
    elif keys:
        count = f"the speech of {len(keys)} of {len(ids)} clips depends on their ground-truth audio"
        found.find("input", f"row '{name}': {count}, e.g. of {min(keys)}; its frontend or speaker component reads it")
    else:
        others = "noise and with the audio of another clip in place of their own"
        found.checked.append(f"row '{name}': the speech of {len(ids)} test clips is the same with {others}")


def _compare_with_stored(recipe: Recipe, name: str, speech: dict[str, Output], found: Audit) -> None:
    """Note how many clips are what stage 5 wrote; on another device or version, sound files may differ in some bits."""
    scored = {key: folder(recipe, name) / f"{key}.wav" for key in speech}
    sounds = {key: output.sound for key, output in speech.items()}
    same = sum(
        path.is_file() and path.stat().st_size == len(sounds[key]) and path.read_bytes() == sounds[key]
        for key, path in scored.items()
    )
    text = f"row '{name}': {same} of {len(speech)} are, bit for bit, the speech that stage 5 wrote"
    hint = "; where it had other settings, such as a vocoder, give its --config and --set"
    found.checked.append(text if same == len(speech) else f"{text}{hint}")


def _rounds(utterances: list[Utterance], clips: int) -> list[list[str]]:
    """The clips to be synthesised again, in groups of one clip of each speaker: a changed clip may be a reference of
    other clips of its speaker."""
    by_speaker: dict[str, list[str]] = defaultdict(list)
    for u in utterances:
        by_speaker[u.speaker].append(u.id)
    ranked = sorted((rank, key) for names in by_speaker.values() for rank, key in enumerate(sorted(names)))[:clips]
    return [[key for rank, key in ranked if rank == number] for number in range(ranked[-1][0] + 1)]


def _changes(utterances: list[Utterance], seed: int) -> dict[str, Change]:
    """Name -> the audio that replaces that of a clip."""
    random = np.random.default_rng(seed)
    audio = [u.audio for u in utterances if u.audio]
    others = {u.id: audio[number - 1] for number, u in enumerate(utterances)}

    def noise(_: Utterance, samples: int, __: int) -> np.ndarray:
        return (NOISE_LEVEL * random.standard_normal(samples)).astype(np.float32)

    def another(utterance: Utterance, samples: int, rate: int) -> np.ndarray:
        return np.resize(read_audio(others[utterance.id], rate)[::-1], samples)  # reversed: the only clip changes too

    return {"noise": noise, "another": another}


def _copied(recipe: Recipe, copy: Path, videos: list[str], changes: dict[str, Change] | None = None) -> Recipe:
    """The recipe with a copy of its data."""
    data = recipe.config.data
    changed_copy(recipe.data_folder, data.test, copy, videos, changes)
    return replace(recipe, config=replace(recipe.config, data=replace(data, folder=str(copy))))


def _synthesised(copies: list[Recipe], name: str, rounds: list[list[str]], out: Path) -> dict[str, Output]:
    """Utterance id -> what a row gives; each copy of the recipe has the clips of one round."""
    found = {}
    for number, (recipe, ids) in enumerate(zip(copies, rounds, strict=True)):
        target = out / str(number) / name
        stages.experiment(recipe).rows(recipe)[name].synthesise(target)
        texts = [read_hypotheses(path) for path in sorted(target.glob(f"*{HYPOTHESES}"))]
        for key in ids:
            found[key] = Output((target / f"{key}.wav").read_bytes(), tuple(text.get(key, "") for text in texts))
    return found


def _changed_references(original: Recipe, changed: Recipe, ids: list[str]) -> set[str]:
    """The clips whose speaker reference differs between two copies."""
    speakers = {u.id: u.speaker for u in read_manifest(original.test)}
    before, now = _reader(original), _reader(changed)
    return {key for key in ids if not np.array_equal(before(key, speakers[key]), now(key, speakers[key]))}


def _reader(recipe: Recipe) -> Callable[[str, str], np.ndarray]:
    """(utterance id, speaker) -> the input of the speaker component for the test set."""
    return build("speaker", recipe.config.networks.speaker, speakers=[]).reader(recipe.test)
