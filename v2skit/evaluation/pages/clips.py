"""The clips of a report: which are shown, and for each its mouth, and sound, spectrogram and scores of every system."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np

from v2skit.data.data_dir import Utterance
from v2skit.errors import UserError, suggestion
from v2skit.evaluation import markdown
from v2skit.evaluation.file_scores import CER, WER, FileScores
from v2skit.evaluation.pages.experiment import GROUND_TRUTH, Experiment
from v2skit.evaluation.pages.media import flac, log_mel, spectrogram_uri, strip_uri
from v2skit.evaluation.wer import PERCENT
from v2skit.media.audio import read_audio
from v2skit.media.crops import read_crops
from v2skit.signal.mel import MelSpectrogram

STRIP_CELLS = (16, 8)
"""Crops in the strip of a wide and of a narrow screen."""


@dataclass(frozen=True, eq=False)
class System:
    """A row of the results of one of the experiments.

    Args:
        experiment: whose row it is.
        row: name of the row.
        label: for people.
        colour: its number.
    """

    experiment: Experiment
    row: str
    label: str
    colour: int

    def scores(self, clip: str) -> FileScores:
        """The scores of a clip; empty where it has none."""
        return self.experiment.scores.get(self.row, {}).get(clip, FileScores(clip))

    def waveform(self, utterance: Utterance, sample_rate: int) -> np.ndarray | None:
        """Its speech for a clip (N,); None where there is none that can be read."""
        path = utterance.audio
        if self.row != GROUND_TRUTH:
            path = self.experiment.speech(self.row) / f"{utterance.id}.wav"
        with suppress(UserError):
            return None if path is None else read_audio(path, sample_rate)
        return None


def systems_of(experiments: Sequence[Experiment]) -> list[System]:
    """Every row of every experiment; of rows of ground truth only the first, which all share."""
    found: list[System] = []
    for experiment in experiments:
        for row in experiment.results["rows"]:
            if row == GROUND_TRUTH and any(system.row == row for system in found):
                continue
            label = markdown.label_of(row)
            if len(experiments) > 1 and row != GROUND_TRUTH:
                label = f"{experiment.name}: {label}"
            found.append(System(experiment, row, label, len(found)))
    return found


@dataclass(frozen=True)
class Track:
    """One system in a clip: spectrogram as an address, FLAC in base64, scores by title, and the recognised words with
    whether each is in the sentence."""

    system: System
    picture: str
    sound: str
    scores: list[tuple[str, str]] = field(default_factory=list)
    heard: list[tuple[str, bool]] = field(default_factory=list)


@dataclass(frozen=True)
class Clip:
    """A clip of the page; ``strips`` are the mouth in many and in few crops, none where there is no video."""

    utterance: Utterance
    why: str
    seconds: float
    strips: list[str]
    tracks: list[Track]

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """Places on the axis of time, in percent, with their seconds."""
        step = next(s for s in (0.5, 1, 2, 5, 10, 30, 60, 1e9) if self.seconds / s <= 8)
        return [(round(100 * n * step / self.seconds, 2), f"{n * step:g}") for n in range(int(self.seconds / step) + 1)]


def choose(
    scores: dict[str, FileScores], metric: str, higher_is_better: bool, each: int, wanted: Sequence[str]
) -> dict[str, str]:
    """The clips to show: id -> why, each once.

    Args:
        scores: of the system by which they are ranked, by id.
        metric: by which they are ranked.
        higher_is_better: its direction.
        each: number of the best, of those around the median and of the worst ones.
        wanted: ids that are shown in any case, before the others.
    """
    ranked = [clip for clip, entry in scores.items() if metric in entry.values]
    ranked.sort(key=lambda clip: (scores[clip].values[metric], clip), reverse=higher_is_better)
    middle = max(0, (len(ranked) - each) // 2)
    groups = {"best": ranked[:each], "median": ranked[middle : middle + each], "worst": ranked[-each:] if each else []}
    chosen = dict.fromkeys(wanted, "asked for")
    if not ranked:
        groups = {"not ranked": list(scores)[:each]}
    for why, clips in groups.items():
        for clip in clips:
            chosen.setdefault(clip, why)
    return chosen


def find(test: Iterable[Utterance], wanted: Sequence[str]) -> None:
    """Raises UserError where an id is not in the test set."""
    known = {utterance.id for utterance in test}
    for clip in wanted:
        if clip not in known:
            near = suggestion(clip, known) if len(known) < 10 or get_close_matches(clip, known, 1) else ""
            raise UserError(f"--clips {clip}: the test set has no such clip{near or '; its utt2spk lists them'}")


def show(utterance: Utterance, why: str, systems: Sequence[System], metrics: dict[str, str], of: Experiment) -> Clip:
    """A clip with all its media.

    Args:
        utterance: of the test set.
        why: it is shown.
        systems: those without speech for it are left out.
        metrics: name of a score that is shown -> its title.
        of: the experiment whose clock and mel are used.
    """
    clock, mel = of.clock, of.mel
    spectrogram = MelSpectrogram(clock, mel)
    waveforms = {s: w for s in systems if (w := s.waveform(utterance, clock.sample_rate)) is not None and len(w)}
    mels = {system: log_mel(waveform, spectrogram) for system, waveform in waveforms.items()}
    factor = 1.0 if mel.log == "natural" else np.log(10.0)
    high = max((factor * m.max() for m in mels.values()), default=0.0)
    strips = []
    if utterance.video is not None:
        with suppress(UserError):
            crops = read_crops(utterance.video)
            strips = [strip_uri(crops, count) for count in STRIP_CELLS]
    tracks = [
        Track(
            system,
            spectrogram_uri(factor * mels[system], high),
            flac(waveform, clock.sample_rate),
            _scores(system.scores(utterance.id), metrics),
            _heard(system.scores(utterance.id)),
        )
        for system, waveform in waveforms.items()
    ]
    return Clip(utterance, why, utterance.frames / clock.fps, strips, tracks)


def _scores(scores: FileScores, metrics: dict[str, str]) -> list[tuple[str, str]]:
    texts = {n: f"{PERCENT * value:.0f} %" if n in (WER, CER) else f"{value:.3g}" for n, value in scores.values.items()}
    return [(title, texts[name]) for name, title in metrics.items() if name in texts]


def _heard(scores: FileScores) -> list[tuple[str, bool]]:
    return [(word.lower(), word in scores.reference) for word in scores.hypothesis]
