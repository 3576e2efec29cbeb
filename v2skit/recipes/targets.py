"""The targets of a recipe: fitted to its training data, and computed once for each utterance of a data directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from v2skit.config.load import identity, to_tree
from v2skit.data.data_dir import TABLES, Utterance, is_prepared, read_settings
from v2skit.data.dataset import SpeechDataset
from v2skit.data.index import open_index
from v2skit.data.streams import FOLDER, StoredStream, write_stream
from v2skit.data.targets import FitUtterance, Targets, compute, is_fitted, state_digest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio
from v2skit.models import checkpoint
from v2skit.models.build import build_targets
from v2skit.models.model import Model, Vocoder
from v2skit.recipes.recipe import Recipe
from v2skit.system.atomic import write_text
from v2skit.system.state_file import read_state
from v2skit.training.distributed import SLOW

_REMEDY = "delete it; the next training stage makes it again"


def prepare(recipe: Recipe, names: Iterable[str]) -> Targets:
    """Fit the targets where that was not done, and store their values for data directories; the first process does it.

    Args:
        recipe: of the experiment.
        names: of data directories.

    Raises:
        UserError: a target can't be fitted or computed; it is named.
    """
    if recipe.config.targets and recipe.processes.first:
        fitted = load(recipe, fit=True)
        for directory in map(recipe.data, names):
            for name, target in fitted.stored.items():
                _store(recipe, fitted, name, target, directory)
    if recipe.config.targets:
        recipe.processes.gather(None, "at the start", SLOW)
    return load(recipe)


def prepare_early(recipe: Recipe, names: Iterable[str]) -> None:
    """As :func:`prepare`, in stage 1; a target that needs what a later stage makes is noted, and left to that stage."""
    try:
        prepare(recipe, [name for name in names if is_prepared(recipe.data(name))])
    except UserError as error:
        print(f"note: {error}; the training stages need it")


def load(recipe: Recipe, fit: bool = False) -> Targets:
    """The targets of a recipe with their fitted states.

    Args:
        recipe: of the experiment.
        fit: those that are not fitted yet, or whose training data have changed, are fitted now.

    Raises:
        UserError: one can't be built or fitted.
    """
    built = build_targets(recipe.config).built
    given = _given_states(recipe)
    states = {}
    for name, target in built.items():
        if is_fitted(target):
            state = given.get(name) or _fitted_state(recipe, name, target, fit)
            if state is not None:
                states[name] = state
    return build_targets(recipe.config, states)


def identities(targets: Targets) -> dict[str, Any]:
    """What identifies the targets in the record of a run; nothing where there are none."""
    return {"targets": targets.digests} if targets.digests else {}


def stored_streams(recipe: Recipe, targets: Targets, directory: Path) -> dict[str, StoredStream]:
    """The stored values for a data directory, by stream."""
    return {n: StoredStream(_folder(recipe, targets, n, t, directory)) for n, t in targets.stored.items()}


def check_not_empty(recipe: Recipe, targets: Targets, names: Iterable[str]) -> None:
    """Raises UserError where a target has no value for any utterance of the training directories."""
    directories = [recipe.data(name) for name in names]
    for name, target in targets.stored.items():
        streams = [StoredStream(_folder(recipe, targets, name, target, directory)) for directory in directories]
        counts = [int(np.count_nonzero(stream.lengths)) for stream in streams]
        if not sum(counts):
            why = getattr(target, "why_empty", "its values are empty")
            raise UserError(
                f"target '{name}' has no values for any utterance of {', '.join(map(str, directories))}: {why}; mend "
                f"that, or leave it out with targets.{name}: null and what needs it",
                stream=name,
            )


def check_lengths(model: Model | Vocoder, training_set: SpeechDataset) -> Iterator[str]:
    """What heads of sequences have to say about the lengths in the training data.

    Raises:
        UserError: a head can't be trained with any of them.
    """
    heads: dict[str, Any] = dict(model.heads.items()) if isinstance(model, Model) else {}
    for name, head in heads.items():
        if hasattr(head, "check_lengths"):
            try:
                note = head.check_lengths(*training_set.sequences(head.outputs[0]))
            except UserError as error:
                raise UserError(f"networks.heads.{name}: {error}", **error.fields) from error
            if note:
                yield f"networks.heads.{name}: {note}"


def _given_states(recipe: Recipe) -> dict[str, dict]:
    """The states of a given pre-trained model: its parts predict these targets."""
    if not recipe.config.pretrained or not Path(recipe.config.pretrained).exists():
        return {}
    folder = checkpoint.folder_in(Path(recipe.config.pretrained), "give the experiment of a recipe", "pretrain")
    return checkpoint.read_meta(folder).targets


def _settings(recipe: Recipe, name: str, target: Any) -> dict:
    """What the values of a target depend on besides data and fitted state."""
    more = target.settings_digest() if hasattr(target, "settings_digest") else None
    config = recipe.config
    return {"target": identity(config.targets[name]), "clock": to_tree(config.clock), "mel": to_tree(config.mel)} | (
        {"more": more} if more else {}
    )


def _fitted_state(recipe: Recipe, name: str, target: Any, fit: bool) -> dict | None:
    """The state in the data folder; fitted anew where the data that it was fitted to have changed since."""
    path = recipe.data_folder / FOLDER / f"{name}-{state_digest(_settings(recipe, name, target))}.json"
    found = read_state(path, _REMEDY)
    if not fit:
        return found and found.get("state")
    data = recipe.config.data
    directories = {
        n: recipe.data(n) for n in dict.fromkeys([*data.pretrain, data.train]) if is_prepared(recipe.data(n))
    }
    digests = {n: _content(directory) for n, directory in directories.items()}
    if found and all(digests.get(n) == digest for n, digest in found.get("fitted_to", {}).items()):
        return found.get("state")
    print(f"target '{name}' is fitted to {', '.join(map(str, directories.values()))}")
    try:
        state = target.fit(_fit_utterances(recipe, directories.values()))
    except UserError as error:
        where = ", ".join(map(str, directories.values()))
        raise UserError(f"target '{name}' can't be fitted to {where}: {error}", **error.fields) from error
    write_text(path, json.dumps({"state": state, "fitted_to": digests}) + "\n")
    return state


def _fit_utterances(recipe: Recipe, directories: Iterable[Path]) -> Iterator[FitUtterance]:
    for directory in directories:
        for utterance in open_index(directory):
            yield FitUtterance(utterance.id, utterance.text, partial(_waveform, recipe, utterance))


def _store(recipe: Recipe, targets: Targets, name: str, target: Any, directory: Path) -> None:
    """Compute a target for all utterances of a data directory, unless that is done."""
    folder = _folder(recipe, targets, name, target, directory)
    if folder.exists():
        StoredStream(folder)
        return
    index = open_index(directory)
    with_audio = getattr(target, "needs_audio", True)

    def values(start: int) -> Iterator[tuple[int, np.ndarray]]:
        numbers = range(start, len(index))
        bar = tqdm(numbers, f"{name} of {directory.name}", len(index), initial=start, unit="clip", mininterval=1.0)
        for utterance in (index[number] for number in bar):
            waveform = _waveform(recipe, utterance) if with_audio else np.zeros(0, np.float32)
            try:
                yield utterance.frames, compute(target, name, waveform, utterance.text)
            except UserError as error:
                raise UserError(f"{directory}: utterance '{utterance.id}': {error}", **error.fields) from error

    try:
        write_stream(folder, values, target.dtype, target.rate == "sequence")
    except OSError as error:
        raise UserError(
            f"{folder} can't be written ({error}); make {directory} writable, or free some disk space"
        ) from error


def _folder(recipe: Recipe, targets: Targets, name: str, target: Any, directory: Path) -> Path:
    made_of = {**_settings(recipe, name, target), "state": targets.states.get(name), "data": _content(directory)}
    return directory / FOLDER / f"{name}-{state_digest(made_of)}"


def _content(directory: Path) -> str:
    """What identifies the content of a data directory; of one that preparation did not write, that of its tables."""
    found = read_settings(directory).get("digest")
    if found:
        return str(found)
    content = hashlib.sha256()
    for path in (directory / table for table in TABLES):
        content.update(path.read_bytes() if path.exists() else b"")
    return content.hexdigest()[:12]


def _waveform(recipe: Recipe, utterance: Utterance) -> np.ndarray:
    """The audio of an utterance, (N,) float32."""
    if utterance.audio is None:
        raise UserError(f"utterance '{utterance.id}' has no audio, which a target needs; prepare its directory again")
    clock = recipe.config.clock
    return read_audio(utterance.audio, clock.sample_rate, 0, utterance.frames * clock.samples_per_frame)
