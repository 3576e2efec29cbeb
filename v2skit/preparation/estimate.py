"""``v2skit data estimate``: hours, disk space and time of a preparation, from samples, before it starts.

Durations come from the headers of a sample of each data directory; disk space and time per hour of speech come from a
smaller sample that is prepared into a temporary folder. Audio-visual and audio-only directories of a corpus are sampled
separately, since video costs far more than audio.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from v2skit.config.features import Clock, Crop
from v2skit.config.prepare import Prepare
from v2skit.corpora.corpus import Corpus, CorpusUtterance
from v2skit.data.data_dir import is_prepared
from v2skit.errors import UserError, reason_of
from v2skit.preparation.amount import Amount, ratio, total
from v2skit.preparation.prepare import check_claim, settings_of
from v2skit.preparation.records import read_outcomes
from v2skit.preparation.shards import Task
from v2skit.preparation.trial import Trial, header_seconds, try_sample
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.system.devices import cores
from v2skit.system.extras import needs
from v2skit.system.progress import ProgressBar
from v2skit.system.temporary import private_folder

HEADERS = 500
"""Headers that are read of a data directory; the hours of one with fewer utterances are exact."""


@dataclass(frozen=True)
class Directory:
    """A data directory, before preparation or in part prepared.

    Args:
        name: of the corpus's split.
        utterances: number of all utterances.
        prepared: number of prepared utterances.
        prepared_hours: their duration.
        left: utterances to prepare.
        left_hours: their duration.
        headers: size of the sample that this was estimated from.
        unreadable: errors of headers in the sample; these utterances count as 0 hours.
    """

    name: str
    utterances: int
    prepared: int
    prepared_hours: float
    left: list[CorpusUtterance]
    left_hours: Amount
    headers: int
    unreadable: list[str]

    @property
    def hours(self) -> Amount:
        """The duration of all utterances."""
        return Amount(self.prepared_hours + self.left_hours.value, self.left_hours.half)


@dataclass(frozen=True)
class Group:
    """Data directories of one corpus that are all audio-visual, or all audio-only.

    Args:
        kind: ``audio-visual`` or ``audio-only``.
        directories: the data directories.
        trial: the prepared sample.
        per_hour: costs of an hour of speech (see :class:`Trial`), in one job; None where unknown.
    """

    kind: str
    directories: list[Directory]
    trial: Trial
    per_hour: dict[str, Amount] | None


@dataclass(frozen=True)
class Estimate:
    """Costs of a preparation. ``directories`` that are prepared are in no group; ``refused`` has the reasons for which
    stage 1 will not start."""

    directories: list[Directory]
    groups: list[Group]
    settings: Prepare
    folder: Path
    free_bytes: int
    refused: list[str] = field(default_factory=list)

    @property
    def unknown(self) -> list[str]:
        """Data directories whose costs are unknown."""
        return [directory.name for group in self.groups if not group.per_hour for directory in group.directories]

    def needs(self, what: str) -> Amount:
        """Costs of the utterances to prepare, except unknown ones: bytes of ``disk``, or seconds of ``processor`` or
        ``wall`` in one job."""
        known = [(group.per_hour, group.directories) for group in self.groups if group.per_hour]
        return total([per_hour[what] * total([d.left_hours for d in found]) for per_hour, found in known])

    @property
    def at_once(self) -> int:
        """Number of parallel jobs: limited by the number of utterances and, on this machine, of cores."""
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
    """Estimate the costs of :func:`v2skit.preparation.prepare.prepare`. Nothing is written into ``output``.

    Args:
        corpora: obtained.
        tracker: finds the mouth.
        clock: rates of audio and video.
        crop: of the mouth.
        output: the recipe's data folder; utterances that are prepared there are not checked.
        settings: of preparation.
        video_only_ok: splits whose clips need no audio.
        sample: number of utterances to prepare, of the audio-visual and of the audio-only directories of each corpus.
        seed: of the samples.

    Raises:
        UserError: the tracker can't be used, the sample is too small, or the disk is full.
    """
    with needs("train", "v2skit data estimate"):
        import_module("scipy.special")  # of the intervals, which are computed last

    if sample < 2:
        raise UserError(f"sample {sample} must be at least 2, for an interval of the estimate")
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
            directory = _count(name, output / name, utterances, clock, seed)
            directories.append(directory)
            if directory.left:
                kind = "audio-visual" if any(utterance.video for utterance in directory.left) else "audio-only"
                kinds.setdefault(kind, []).append(directory)
        for kind, found in kinds.items():
            every = [(directory, utterance) for directory in found for utterance in directory.left]
            chosen = random.Random(f"{seed} {number} {kind}").sample(every, min(sample, len(every)))
            with private_folder("estimate") as folder:
                tasks = [Task(utterance, folder, d.name not in video_only_ok) for d, utterance in chosen]
                trial = try_sample(tasks, built, clock, crop, settings, f"a sample, {kind}")
            groups.append(Group(kind, found, trial, trial.per_hour(len(every))))
    existing = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    return Estimate(directories, groups, settings, output, shutil.disk_usage(existing).free, refused)


def _count(name: str, folder: Path, utterances: list[CorpusUtterance], clock: Clock, seed: int) -> Directory:
    """Count utterances, and estimate their hours from headers."""
    ids = {utterance.id for utterance in utterances}
    tried = {key: o for key, o in read_outcomes(folder).items() if key in ids}
    done = {key: o for key, o in tried.items() if is_prepared(folder) or not o.reason}
    left = [utterance for utterance in utterances if utterance.id not in done]
    chosen = random.Random(f"{seed} {name}").sample(left, min(HEADERS, len(left)))
    hours, unreadable = [], []
    for utterance in ProgressBar(chosen, f"headers of {name}", unit="file"):
        try:
            hours.append(header_seconds(utterance) / 3600)
        except Exception as error:
            hours.append(0.0)
            unreadable.append(reason_of(error))
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
