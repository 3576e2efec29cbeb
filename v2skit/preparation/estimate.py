"""``v2skit data estimate``: hours, disk and time of a preparation, from samples, before it is begun.

Lengths come from the headers of a sample of each data directory; what an hour of speech takes comes from a smaller
sample that is really prepared, into a temporary folder. Audio-visual and audio-only directories of a corpus are sampled
apart, since a video takes far more than its sound.
"""

from __future__ import annotations

import math
import random
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

from v2skit.config.features import Clock, Crop
from v2skit.config.schema import Prepare
from v2skit.corpora.corpus import Corpus, CorpusUtterance
from v2skit.errors import UserError
from v2skit.media.container import find_video_stream, open_container, time_base
from v2skit.preparation.prepare import check_claim, settings_of
from v2skit.preparation.quality import rejects
from v2skit.preparation.shards import SHARDS, Task, finished, prepare_utterances, read_outcomes
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.system.devices import cores
from v2skit.system.extras import needs
from v2skit.tracking.tracker import Tracker

HEADERS = 500
"""Headers that are read of a data directory; where it has no more utterances, its hours are exact."""

LIKELY = 0.95
"""Probability of the intervals."""

STORED = ("sound", "crops", "records")


@dataclass(frozen=True)
class Amount:
    """An estimate: ``value``, and ``half`` of its 95 % interval."""

    value: float
    half: float = 0.0

    def __mul__(self, other: Amount) -> Amount:
        return Amount(self.value * other.value, math.hypot(self.half * other.value, self.value * other.half))


def total(amounts: Sequence[Amount]) -> Amount:
    """The sum of independent estimates."""
    return Amount(sum(amount.value for amount in amounts), math.hypot(*(amount.half for amount in amounts)))


@dataclass(frozen=True)
class Directory:
    """A data directory to be.

    Args:
        name: of the corpus's split.
        utterances: all of them.
        prepared: those that are prepared already.
        prepared_hours: their length.
        left: what is still to be prepared.
        left_hours: its length.
        headers: how many headers that was estimated from.
        unreadable: why headers among these can't be read; their files count as without speech.
    """

    name: str
    utterances: int
    prepared: int
    prepared_hours: float
    left: list[CorpusUtterance]
    left_hours: Amount
    headers: int
    unreadable: list[str]


@dataclass(frozen=True)
class Trial:
    """A sample that was prepared.

    Args:
        hours: of speech in each of it, from its header; 0 where that can't be read.
        spent: on each: bytes of each of :data:`STORED` and ``disk``, seconds of ``processor`` and ``wall``.
        excluded: the reasons.
        filtered: reason -> how many will be filtered.
    """

    hours: list[float] = field(default_factory=list)
    spent: list[dict[str, float]] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    filtered: Counter[str] = field(default_factory=Counter)

    def per_hour(self, population: int) -> dict[str, Amount] | None:
        """What an hour takes of those that it was drawn from; None where it has no speech."""
        if not sum(self.hours):
            return None
        return {what: ratio([s[what] for s in self.spent], self.hours, population) for what in self.spent[0]}


@dataclass(frozen=True)
class Group:
    """Data directories of one corpus that are all audio-visual, or all audio-only.

    Args:
        kind: ``audio-visual`` or ``audio-only``.
        directories: which.
        trial: what was prepared of them.
        per_hour: what an hour of speech takes (see :class:`Trial`), in one job; None where that is not known.
    """

    kind: str
    directories: list[Directory]
    trial: Trial
    per_hour: dict[str, Amount] | None


@dataclass(frozen=True)
class Estimate:
    """What preparation takes. ``directories`` that have nothing left are in no group; ``refused`` says why stage 1 will
    not begin."""

    directories: list[Directory]
    groups: list[Group]
    settings: Prepare
    folder: Path
    free_bytes: int
    refused: list[str] = field(default_factory=list)

    @property
    def unknown(self) -> list[str]:
        """Data directories of which nothing can be told."""
        return [directory.name for group in self.groups if not group.per_hour for directory in group.directories]

    def needs(self, what: str) -> Amount:
        """Of what is left, but for what is unknown: bytes of ``disk``, or seconds of ``processor`` or ``wall`` in one
        job."""
        known = [(group.per_hour, group.directories) for group in self.groups if group.per_hour]
        return total([per_hour[what] * total([d.left_hours for d in found]) for per_hour, found in known])

    @property
    def at_once(self) -> int:
        """Jobs that work at the same time: no more than there are utterances, or cores on this machine."""
        count = self.settings.jobs or cores()
        if self.settings.cluster == "local":
            count = min(count, cores())
        return max(1, min(count, sum(len(directory.left) for directory in self.directories)))


def estimate(
    corpora: Sequence[Corpus],
    tracker: Component,
    clock: Clock,
    crop: Crop,
    output: Path,
    settings: Prepare = Prepare(),
    video_only_ok: Collection[str] = (),
    sample: int = 20,
    seed: int = 0,
) -> Estimate:
    """Estimate what :func:`v2skit.preparation.prepare.prepare` will take. Nothing is written into ``output``.

    Args:
        corpora: obtained.
        tracker: which one finds the mouth.
        clock: rates of sound and picture.
        crop: of the mouth.
        output: the recipe's data folder; what is prepared there already is taken to be as it should.
        settings: of preparation.
        video_only_ok: splits whose clips need no sound.
        sample: utterances to prepare, of each corpus's audio-visual and of its audio-only directories.
        seed: of the samples.

    Raises:
        UserError: the tracker can't be used, the sample is too small, or the disk is full.
    """
    with needs("train", "v2skit data estimate"):
        import_module("scipy.special")  # for the intervals, at the end of the work

    if sample < 2:
        raise UserError(f"sample {sample} must be at least 2: one utterance does not tell how they differ")
    built = build("tracker", tracker)
    directories, groups, refused = [], [], []
    made_with = settings_of(tracker, clock, crop)
    for number, corpus in enumerate(corpora):
        kinds: dict[str, list[Directory]] = {}
        for name, utterances in corpus.splits().items():
            try:
                check_claim(output / name, made_with)
            except UserError as error:
                refused.append(str(error))
            directory = _look(name, output / name, utterances, clock, seed)
            directories.append(directory)
            if directory.left:
                kind = "audio-visual" if any(utterance.video for utterance in directory.left) else "audio-only"
                kinds.setdefault(kind, []).append(directory)
        for kind, found in kinds.items():
            every = [(directory, utterance) for directory in found for utterance in directory.left]
            chosen = random.Random(f"{seed} {number} {kind}").sample(every, min(sample, len(every)))
            with tempfile.TemporaryDirectory(prefix="v2skit-estimate-") as folder:
                tasks = [Task(utterance, Path(folder), d.name not in video_only_ok) for d, utterance in chosen]
                trial = _try(tasks, built, clock, crop, settings, f"a sample, {kind}")
            groups.append(Group(kind, found, trial, trial.per_hour(len(every))))
    there = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    return Estimate(directories, groups, settings, output, shutil.disk_usage(there).free, refused)


def _look(name: str, folder: Path, utterances: list[CorpusUtterance], clock: Clock, seed: int) -> Directory:
    """Count, and read headers."""
    ids = {utterance.id for utterance in utterances}
    tried = {key: o for key, o in read_outcomes(folder).items() if key in ids}
    done = {key: o for key, o in tried.items() if finished(folder) or not o.reason}
    left = [utterance for utterance in utterances if utterance.id not in done]
    chosen = random.Random(f"{seed} {name}").sample(left, min(HEADERS, len(left)))
    hours, unreadable = [], []
    for utterance in tqdm(chosen, f"headers of {name}", unit="file", mininterval=1.0, dynamic_ncols=True):
        try:
            hours.append(header_seconds(utterance) / 3600)
        except UserError as error:
            hours.append(0.0)
            unreadable.append(str(error))
    mean = ratio(hours, [1.0] * len(hours), len(left)) if hours else Amount(0.0)
    frames = sum(outcome.frames for outcome in done.values())
    return Directory(
        name=name,
        utterances=len(utterances),
        prepared=sum(not outcome.reason for outcome in done.values()),
        prepared_hours=frames / clock.fps / 3600,
        left=left,
        left_hours=mean * Amount(len(left)),
        headers=len(chosen),
        unreadable=unreadable,
    )


def header_seconds(utterance: CorpusUtterance) -> float:
    """How long an utterance is, from its file's header; from its packets where the header does not say.

    Raises:
        UserError: it can't be read, or lacks the picture or the sound.
    """
    if utterance.end is not None:
        return utterance.end - utterance.start
    path = utterance.video or utterance.audio
    if path is None:
        raise UserError(f"{utterance.id} has neither a video nor a sound file; its corpus component must name one")
    with open_container(path) as container:
        stream = find_video_stream(container) if utterance.video else next(iter(container.streams.audio), None)
        if stream is None:
            raise UserError(f"{path} has no {'video' if utterance.video else 'audio'} stream")
        if stream.duration:
            return float(stream.duration * time_base(stream)) - utterance.start
        if container.duration:
            return container.duration / av.time_base - utterance.start
        try:
            ends = [packet.pts + (packet.duration or 0) for packet in container.demux(stream) if packet.pts is not None]
        except av.FFmpegError as error:
            raise UserError(f"{path} is damaged ({error.strerror}); fetch it again") from error
    return float(max(ends, default=0) * time_base(stream)) - utterance.start


def _try(tasks: list[Task], tracker: Tracker, clock: Clock, crop: Crop, settings: Prepare, title: str) -> Trial:
    """Prepare utterances, which share a temporary folder, and measure."""
    trial = Trial()
    outcomes = prepare_utterances(tasks, tracker, clock, crop)
    before = _spent(tasks[0].folder)
    for task in tqdm(tasks, title, unit="clip", mininterval=1.0, dynamic_ncols=True):
        outcome = next(outcomes)
        now = _spent(task.folder)
        trial.spent.append({what: now[what] - before[what] for what in now})
        before = now
        rejected = None if outcome.reason or task.utterance.video else rejects(settings.filters, outcome.measures)
        if outcome.reason:
            trial.excluded.append(outcome.reason)
        elif rejected:
            trial.filtered[rejected] += 1
        try:
            trial.hours.append(header_seconds(task.utterance) / 3600)
        except UserError:
            trial.hours.append(0.0)
    outcomes.close()
    return trial


def _spent(folder: Path) -> dict[str, float]:
    """Bytes below a data directory, and seconds up to now."""
    kinds = zip(STORED, ("audio", "video", SHARDS), strict=True)
    sizes = {what: sum(path.stat().st_size for path in (folder / name).glob("*")) for what, name in kinds}
    times = {"processor": time.process_time(), "wall": time.perf_counter()}
    return {**sizes, "disk": sum(sizes.values()), **times}


def ratio(amounts: Sequence[float], units: Sequence[float], population: int) -> Amount:
    """Amount per unit, from a random sample (ratio estimator: Cochran, Sampling Techniques, 1977, ch. 6).

    Args:
        amounts: of each that was drawn.
        units: of each; not all 0.
        population: how many they were drawn from; exact where that is all.
    """
    y, x = np.asarray(amounts, float), np.asarray(units, float)
    count = len(x)
    value = float(y.sum() / x.sum())
    if count == population:
        return Amount(value)
    from scipy.special import stdtrit

    variance = np.square(y - value * x).sum() / (count - 1) * count * (1 - count / population)
    return Amount(value, float(stdtrit(count - 1, (1 + LIKELY) / 2) * np.sqrt(variance) / x.sum()))
