"""Preparation of a sample into a temporary folder, to measure disk and time."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import av

from v2skit.config.features import Clock, Crop
from v2skit.config.prepare import Prepare
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.errors import UserError
from v2skit.media.container import find_video_stream, open_container, stated_seconds, time_base
from v2skit.preparation.amount import Amount, ratio
from v2skit.preparation.quality import rejects
from v2skit.preparation.records import SHARDS
from v2skit.preparation.shards import Task, prepare_utterances
from v2skit.system.progress import ProgressBar
from v2skit.tracking.tracker import Tracker

STORED = ("audio", "crops", "records")


@dataclass(frozen=True)
class Trial:
    """A prepared sample.

    Args:
        hours: of each utterance, from its header; 0 where that can't be read.
        costs: of each utterance: bytes of each of :data:`STORED` and ``disk``, seconds of ``processor`` and ``wall``.
        excluded: the reasons.
        filtered: reason -> number of utterances.
    """

    hours: list[float] = field(default_factory=list)
    costs: list[dict[str, float]] = field(default_factory=list)
    excluded: list[str] = field(default_factory=list)
    filtered: Counter[str] = field(default_factory=Counter)

    def per_hour(self, population: int) -> dict[str, Amount] | None:
        """The costs of an hour of the population that the sample is from; None where the sample has no speech."""
        if not sum(self.hours):
            return None
        return {what: ratio([cost[what] for cost in self.costs], self.hours, population) for what in self.costs[0]}


def try_sample(tasks: list[Task], tracker: Tracker, clock: Clock, crop: Crop, settings: Prepare, title: str) -> Trial:
    """Prepare utterances, which share a temporary folder, and measure their costs."""
    trial = Trial()
    outcomes = prepare_utterances(tasks, tracker, clock, crop)
    before = _costs(tasks[0].folder)
    for task in ProgressBar(tasks, title, unit="clip"):
        outcome = next(outcomes)
        now = _costs(task.folder)
        trial.costs.append({what: now[what] - before[what] for what in now})
        before = now
        rejected = None if outcome.reason or task.utterance.video else rejects(settings.filters, outcome.measures)
        if outcome.reason:
            trial.excluded.append(outcome.reason)
        elif rejected:
            trial.filtered[rejected] += 1
        try:
            trial.hours.append(header_seconds(task.utterance) / 3600)
        except Exception:  # the reason is that of the exclusion
            trial.hours.append(0.0)
    outcomes.close()
    return trial


def _costs(folder: Path) -> dict[str, float]:
    """Bytes in a data directory, and seconds up to now."""
    kinds = zip(STORED, ("audio", "video", SHARDS), strict=True)
    sizes = {what: sum(path.stat().st_size for path in (folder / name).glob("*")) for what, name in kinds}
    times = {"processor": time.process_time(), "wall": time.perf_counter()}
    return {**sizes, "disk": sum(sizes.values()), **times}


def header_seconds(utterance: CorpusUtterance) -> float:
    """The duration of an utterance from its file's header, or from its packets where the header has none.

    Raises:
        UserError: it can't be read, or lacks the video or audio stream.
    """
    if utterance.end is not None:
        return utterance.end - utterance.start
    path = utterance.video or utterance.audio
    if path is None:
        raise UserError(f"{utterance.id} has neither a video nor an audio file; its corpus component must name one")
    with open_container(path) as container:
        stream = find_video_stream(container) if utterance.video else next(iter(container.streams.audio), None)
        if stream is None:
            raise UserError(f"{path} has no {'video' if utterance.video else 'audio'} stream")
        if stream.duration:
            return float(stream.duration * time_base(stream)) - utterance.start
        if seconds := stated_seconds(container):
            return seconds - utterance.start
        try:
            ends = [packet.pts + (packet.duration or 0) for packet in container.demux(stream) if packet.pts is not None]
        except av.FFmpegError as error:
            raise UserError(f"{path} is damaged ({error.strerror}); download it again") from error
    return float(max(ends, default=0) * time_base(stream)) - utterance.start
