"""Blinded listening tests: an HTML page that opens from disk, and the key that tells which sound is of which system.

Mean opinion scores follow ITU-T P.800 (absolute category rating), MUSHRA follows ITU-R BS.1534-3, with the ground truth
as open and hidden reference and a low-passed anchor. Every test has trials whose answer is known: noise modulated by
the speech (MNRU, ITU-T P.810), or the hidden reference.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import firwin

from v2skit.data.data_dir import Utterance
from v2skit.errors import UserError, suggestion
from v2skit.evaluation.pages.clips import System, systems_of
from v2skit.evaluation.pages.experiment import GROUND_TRUTH, read_experiment
from v2skit.evaluation.pages.media import flac
from v2skit.evaluation.pages.render import json_for_script, render, write_page
from v2skit.system.atomic import write_text
from v2skit.system.state_file import read_state

LEVEL_DB = -26.0
"""Root mean square of every sound, dB below full scale."""

MNRU_DB = -20.0
"""Speech-to-noise ratio of the modulated noise: no word can be understood."""

ANCHOR_HZ, ANCHOR_TAPS = 3500.0, 255
REFERENCE_RATING = 90
"""The hidden reference has to be rated at least so (BS.1534-3, post-screening)."""

Sounds = dict[str, np.ndarray]


@dataclass(frozen=True)
class Trial:
    """What is rated at once.

    Args:
        clip: id of the clip.
        sounds: system -> waveform (N,).
        group: within which systems are compared, "" for all.
        limits: system -> lowest and highest rating of an attentive listener; none where every answer is right.
        counts: for the scores; a mere attention check does not.
        reference: waveform that is named as the reference, or None.
    """

    clip: str
    sounds: Sounds
    group: str = ""
    limits: dict[str, tuple[float, float]] | None = None
    counts: bool = True
    reference: np.ndarray | None = None


@dataclass(frozen=True)
class Kind:
    """A kind of test: its question, the scale of a rating, and the trials of a clip.

    Args:
        question: for listeners.
        scale: for the page: ``labels`` (rating -> word), ``range``, or ``choice``.
        unit: of a mean; ``factor``: that ratings are multiplied by.
        trials: (clip, sounds of the systems, ground truth or None) -> trials.
        check: (clip, ground truth, noise) -> a trial that is an attention check; None: the trials are.
    """

    question: str
    scale: dict[str, Any]
    unit: str
    factor: float
    trials: Callable[[str, Sounds, np.ndarray, int], Iterator[Trial]]
    check: Callable[[str, np.ndarray, np.ndarray], Trial] | None


def _single(clip: str, sounds: Sounds, truth: np.ndarray, rate: int) -> Iterator[Trial]:
    yield from (Trial(clip, {system: sound}) for system, sound in sounds.items())


def _pairs(clip: str, sounds: Sounds, truth: np.ndarray, rate: int) -> Iterator[Trial]:
    for a, b in combinations(sounds, 2):
        yield Trial(clip, {a: sounds[a], b: sounds[b]}, f"{a} or {b}")


def _against_reference(clip: str, sounds: Sounds, truth: np.ndarray, rate: int) -> Iterator[Trial]:
    others = {system: sound for system, sound in sounds.items() if system != REFERENCE}
    hidden = {REFERENCE: truth, ANCHOR: low_passed(truth, rate)}
    yield Trial(clip, {**hidden, **others}, limits={REFERENCE: (REFERENCE_RATING, 100)}, reference=truth)


REFERENCE, ANCHOR, NOISE = "ground truth", "anchor, 3.5 kHz", "modulated noise"

KINDS = {
    "mos": Kind(
        "How natural is this speech?",
        {"labels": {5: "excellent", 4: "good", 3: "fair", 2: "poor", 1: "bad"}},
        "MOS, 1 to 5",
        1.0,
        _single,
        lambda clip, truth, noise: Trial(clip, {NOISE: noise}, limits={NOISE: (1, 2)}, counts=False),
    ),
    "ab": Kind(
        "Which of the two sounds more natural?",
        {"choice": "no preference"},
        "preferred, %",
        100.0,
        _pairs,
        lambda clip, truth, noise: Trial(
            clip, {REFERENCE: truth, NOISE: noise}, limits={REFERENCE: (1, 1)}, counts=False
        ),
    ),
    "mushra": Kind(
        "How close is each sound to the reference?",
        {"range": [0, 100], "words": ["bad", "poor", "fair", "good", "excellent"]},
        "rating, 0 to 100",
        1.0,
        _against_reference,
        None,
    ),
}
"""Name of a kind of test -> the kind."""


@dataclass(frozen=True)
class Plan:
    """What a test consists of.

    Args:
        kind: key of KINDS.
        clips: number of clips, drawn at random from those that every system has.
        checks: number of attention checks, where the kind has trials of their own for these.
        rows: labels of the systems; empty: all, without ground truth where two are compared.
        seed: of clips, blind names and order.
        work_dir: as of a report.
    """

    kind: str = "mos"
    clips: int = 10
    checks: int = 3
    rows: Sequence[str] = ()
    seed: int = 1
    work_dir: Path | None = None


def write_test(path: Path, folders: Sequence[Path], plan: Plan) -> Path:
    """Write the page of a test, and beside it its key, ``<name>.key.json``, which listeners must not have.

    Args:
        path: .html.
        folders: of scored experiments.
        plan: of the test.

    Returns:
        the path of the key.

    Raises:
        UserError: an experiment has no results or no test set, or there are too few clips or systems, or
            another test or file has the name of the page or the key.
    """
    kind, random = KINDS[plan.kind], np.random.default_rng(plan.seed)
    experiments = [read_experiment(folder, plan.work_dir) for folder in folders]
    first = experiments[0]
    if not first.test:
        raise UserError(f"{first.folder}: its test set is not found; name the recipe's folder with --work_dir")
    rate = first.clock.sample_rate
    systems = _chosen(systems_of(experiments), plan)
    material = list(_material(first.test, systems, rate, plan, random))
    trials = [trial for clip, sounds, truth in material for trial in kind.trials(clip, sounds, truth, rate)]
    if kind.check:
        numbers = random.integers(len(material), size=plan.checks)
        clips = [(material[n][0], material[n][2]) for n in numbers]
        trials += [kind.check(clip, truth, levelled(modulated_noise(truth, random))) for clip, truth in clips]
    order = random.permutation(len(trials))
    shown, key = zip(*(_blind(f"t{n}", trials[place], rate, random) for n, place in enumerate(order, 1)), strict=True)
    sounds = {f"sounds-{trial['id']}": json_for_script(rendered) for trial, rendered in shown}
    content = {
        "kind": plan.kind, "unit": kind.unit, "factor": kind.factor, "seed": plan.seed, "trials": key,
        # Answers are pooled by the test: a model that is trained again, with the same names, makes another one.
        "sounds": hashlib.sha256("".join(sounds.values()).encode()).hexdigest(),
    }  # fmt: skip
    test = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
    settings = {"test": test, "seed": plan.seed, "scale": kind.scale, "question": kind.question}
    page = render(
        "listen.html",
        question=kind.question,
        settings=json_for_script({**settings, "trials": [trial for trial, _ in shown]}),
        sounds=sounds,
        count=len(trials),
    )
    beside = path.with_suffix(".key.json")
    _check_key(beside, test)
    write_page(path, page)
    write_text(beside, json.dumps({"test": test, **content}, indent=1, ensure_ascii=False) + "\n")
    return beside


def _check_key(path: Path, test: str) -> None:
    """Raises UserError where there is the key of another test, without which its answers could not be scored."""
    if os.path.lexists(path):
        remedy = "give another name with -o"
        if (read_state(path, remedy) or {}).get("test") != test:
            raise UserError.about(path, f"is the key of another test, whose answers need it, or another file; {remedy}")


def _chosen(systems: list[System], plan: Plan) -> list[System]:
    """The systems of a test. Raises UserError where one does not exist, or there are too few."""
    known = {system.label: system for system in systems}
    for row in plan.rows:
        if row not in known:
            raise UserError(f"--rows: there is no system '{row}'{suggestion(row, known)}")
    compared = "choice" in KINDS[plan.kind].scale
    chosen = [known[row] for row in plan.rows] or [s for s in systems if s.row != GROUND_TRUTH or not compared]
    if compared and len(chosen) < 2:
        raise UserError(f"a test of kind '{plan.kind}' needs two systems; name more experiments")
    return chosen


def _material(
    test: Sequence[Utterance], systems: Sequence[System], rate: int, plan: Plan, random: np.random.Generator
) -> Iterator[tuple[str, Sounds, np.ndarray]]:
    """Clip, sounds of the systems and ground truth, all of one level. Raises UserError where clips are too few."""
    if plan.clips < 1 or plan.checks < 0:
        raise UserError(f"a test of {plan.clips} clips and {plan.checks} checks can't be made; give positive numbers")
    truth = System(systems[0].experiment, GROUND_TRUTH, REFERENCE, 0)
    found = 0
    for place in random.permutation(len(test)):
        waveforms = {s.label: s.waveform(test[place], rate) for s in (truth, *systems)}
        sounds = {label: levelled(waveform) for label, waveform in waveforms.items() if waveform is not None}
        if len(sounds) < len(waveforms):
            continue
        peak = max(1.0, *(np.abs(sound).max() for sound in sounds.values()))
        sounds = {label: sound / peak for label, sound in sounds.items()}
        yield test[place].id, {s.label: sounds[s.label] for s in systems}, sounds[truth.label]
        found += 1
        if found == plan.clips:
            return
    raise UserError(f"all systems have speech for {found} clips only; ask for fewer than {plan.clips} with --clips")


def levelled(waveform: np.ndarray) -> np.ndarray:
    """A waveform (N,) at LEVEL_DB; silence stays silent."""
    power = float(np.mean(np.square(waveform, dtype=np.float64)))
    return waveform * np.float32(10 ** (LEVEL_DB / 20) / power**0.5) if power else waveform


def modulated_noise(waveform: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Speech (N,) with noise in proportion to its amplitude, at MNRU_DB (ITU-T P.810, equation 1)."""
    noise = random.standard_normal(len(waveform)).astype(np.float32)
    return waveform * (1 + np.float32(10 ** (-MNRU_DB / 20)) * noise)


def low_passed(waveform: np.ndarray, rate: int) -> np.ndarray:
    """A waveform (N,) without what is above 3.5 kHz, not delayed."""
    if rate <= 2 * ANCHOR_HZ:
        return waveform
    return np.convolve(waveform, firwin(ANCHOR_TAPS, ANCHOR_HZ, fs=rate), "same").astype(np.float32)


def _blind(name: str, trial: Trial, rate: int, random: np.random.Generator) -> tuple[tuple[dict, list[str]], dict]:
    """What the page has of a trial, its sounds, and what the key has of it."""
    systems = [list(trial.sounds)[n] for n in random.permutation(len(trial.sounds))]
    tokens = {system: random.bytes(4).hex() for system in systems}
    sounds = [flac(trial.sounds[system], rate) for system in systems]
    if trial.reference is not None:
        sounds.insert(0, flac(trial.reference, rate))
    shown = {"id": name, "stimuli": list(tokens.values()), "reference": trial.reference is not None}
    limits = {tokens[system]: bounds for system, bounds in (trial.limits or {}).items()}
    systems_of_tokens = {token: system for system, token in tokens.items()}
    key = {"id": name, "clip": trial.clip, "group": trial.group, "systems": systems_of_tokens}
    return (shown, sounds), {**key, "limits": limits, "counts": trial.counts}
