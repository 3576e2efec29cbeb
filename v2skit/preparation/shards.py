"""A shard of a data directory: the utterances that one job prepares, in archives of its own, with a record of each.

    audio/3.ark  video/3.ark  shards/3.jsonl

An entry counts once its line is in the record; what a kill left behind it is never read.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.config.features import Clock, Crop
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.errors import UserError
from v2skit.media.ark import ArkWriter, split_location
from v2skit.media.crops import encode_crops
from v2skit.preparation.utterance import prepare_utterance
from v2skit.system.atomic import exclusive_lock, write_text
from v2skit.tracking.tracker import Tracker

SHARDS = "shards"
FULL_DISK_BYTES = 1_000_000


@dataclass(frozen=True)
class Outcome:
    """What became of an utterance.

    Args:
        id: of the utterance.
        frames: its length in video frames.
        audio: place of its sound below the data directory, or None.
        video: place of its mouth crops, or None.
        audio_end: where in its archive the sound ends, bytes.
        video_end: likewise the mouth crops.
        reason: why it was excluded, None where it was not.
        notes: what was changed.
        measures: of its quality, see :class:`v2skit.preparation.utterance.Prepared`.
        fingerprint: of its files.
        audio_needed: whether it was excluded where it has no sound.
    """

    id: str
    frames: int = 0
    audio: str | None = None
    video: str | None = None
    audio_end: int = 0
    video_end: int = 0
    reason: str | None = None
    notes: list[str] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    fingerprint: str = ""
    audio_needed: bool = True


@dataclass(frozen=True)
class Task:
    """An utterance to prepare into a data directory."""

    utterance: CorpusUtterance
    folder: Path
    audio_needed: bool = True


def prepare_utterances(
    tasks: Iterable[Task], tracker: Tracker, clock: Clock, crop: Crop, shard: int = 0
) -> Generator[Outcome, None, None]:
    """Prepare utterances one by one, into this shard of their data directories.

    Args:
        tasks: those of a data directory follow each other.
        tracker: finds the mouths.
        clock: rates of sound and picture.
        crop: of the mouths.
        shard: its number; no other process may write to it.

    Raises:
        UserError: the disk is full, or another process has the shard.
    """
    with ExitStack() as stack:
        folder = None
        for task in tasks:
            if task.folder != folder:
                stack.close()
                folder = task.folder
                stack.enter_context(exclusive_lock(folder / SHARDS / str(shard)))
                writer = _Writer(folder, shard, clock.sample_rate, clock.fps)
                stack.callback(writer.close)
            yield _prepare_one(task, writer, tracker, clock, crop)


def _prepare_one(task: Task, writer: _Writer, tracker: Tracker, clock: Clock, crop: Crop) -> Outcome:
    """Prepare one utterance. Whatever its files are like, the answer is an outcome; only a full disk is an error."""
    utterance = task.utterance
    try:
        made = prepare_utterance(utterance, tracker, clock, crop, task.audio_needed)
        stored = writer.store(utterance.id, made.sound, made.crops)
        outcome = Outcome(utterance.id, made.frames, **stored, notes=made.notes, measures=made.measures)
    except UserError as error:
        outcome = Outcome(utterance.id, reason=str(error))
    except Exception as error:
        if isinstance(error, MemoryError) or shutil.disk_usage(task.folder).free < FULL_DISK_BYTES:
            raise UserError(f"{utterance.id} can't be prepared: {error}; see to disk and memory, then go on") from error
        outcome = Outcome(utterance.id, reason=f"{type(error).__name__}: {error}")
    outcome = dataclasses.replace(outcome, fingerprint=fingerprint(utterance), audio_needed=task.audio_needed)
    writer.note(outcome)
    return outcome


class _Writer:
    """Writes a shard; its files appear with their first entries."""

    def __init__(self, folder: Path, shard: int, sample_rate: int, fps: int) -> None:
        self.folder, self.shard, self.sample_rate, self.fps = folder, shard, sample_rate, fps
        self._arks: dict[str, ArkWriter] = {}
        path = folder / SHARDS / f"{shard}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._record = path.open("a", encoding="utf-8")

    def store(self, key: str, sound: np.ndarray | None, crops: np.ndarray | None) -> dict[str, Any]:
        """Store float32 (N,) and uint8 (T,H,W), each where it is there. Returns what the outcome says of it."""
        said: dict[str, Any] = {}
        if sound is not None:
            said["audio"], said["audio_end"] = self._ark("audio").add_audio(key, sound, self.sample_rate)
        if crops is not None:
            said["video"], said["video_end"] = self._ark("video").add_bytes(key, encode_crops(crops, self.fps))
        return said

    def note(self, outcome: Outcome) -> None:
        """Write an outcome to the record."""
        self._record.write(_line(outcome))
        self._record.flush()

    def _ark(self, kind: str) -> ArkWriter:
        if kind not in self._arks:
            self._arks[kind] = ArkWriter(self.folder / kind / f"{self.shard}.ark")
        return self._arks[kind]

    def close(self) -> None:
        for ark in self._arks.values():
            ark.close()
        self._record.close()


def records(folder: Path) -> list[Path]:
    """The records of a data directory's shards."""
    return sorted((folder / SHARDS).glob("*.jsonl"))


def read_record(path: Path) -> Iterator[Outcome]:
    """What a record says; lines that a kill or a full disk cut short are left out."""
    with path.open("rb") as file:
        for line in file:
            try:
                yield Outcome(**json.loads(line))
            except (ValueError, TypeError):
                continue


def read_outcomes(folder: Path) -> dict[str, Outcome]:
    """What became of each utterance of a data directory, by id."""
    return {outcome.id: outcome for path in records(folder) for outcome in read_record(path)}


def check_idle(folder: Path) -> None:
    """Raises UserError where a job, of a cluster perhaps, still writes to a shard of a data directory."""
    for path in records(folder):
        try:
            with exclusive_lock(path.with_suffix("")):
                pass
        except UserError as error:
            raise UserError(
                f"job {path.stem} of an earlier run is still at work in {folder}; wait until it is done, or end it "
                "(a cluster's jobs: scancel --name v2skit)"
            ) from error


def finished(folder: Path) -> bool:
    """Whether a data directory has its tables: what was excluded is not tried again then, unless its file changes."""
    return (folder / "utt2num_frames").exists()


def keep_outcomes(folder: Path, utterances: Iterable[CorpusUtterance], audio_needed: bool) -> set[str]:
    """Take out of the records what is to be prepared (again): what has changed, or whose archive is no longer whole;
    in a directory that is not finished also what was excluded.

    Args:
        folder: the data directory; no job may be writing to it.
        utterances: that it is to hold.
        audio_needed: whether these need sound.

    Returns:
        the ids of what stays.
    """
    retry, prints = not finished(folder), {utterance.id: fingerprint(utterance) for utterance in utterances}
    kept: set[str] = set()
    sizes = _Sizes(folder)
    for path in records(folder):
        good = []
        for outcome in read_record(path):
            tried = not outcome.reason or (not retry and outcome.audio_needed == audio_needed)
            # one that the corpus no longer names stays, in case it comes back
            current = prints.get(outcome.id, outcome.fingerprint) == outcome.fingerprint
            if outcome.id not in kept and tried and current and sizes.whole(outcome):
                good.append(outcome)
                kept.add(outcome.id)
        text = "".join(map(_line, good))
        if text != path.read_text(encoding="utf-8"):
            write_text(path, text)
    return kept & prints.keys()


class _Sizes:
    """How long the archives of a data directory are; each is looked at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[Path, int] = {}

    def whole(self, outcome: Outcome) -> bool:
        """Whether the archives reach to the ends of what an outcome says is in them."""
        places = (outcome.audio, outcome.audio_end), (outcome.video, outcome.video_end)
        return all(end <= self._size(split_location(self._folder / place)[0]) for place, end in places if place)

    def _size(self, path: Path) -> int:
        if path not in self._sizes:
            self._sizes[path] = path.stat().st_size if path.exists() else -1
        return self._sizes[path]


def _line(outcome: Outcome) -> str:
    return json.dumps(dataclasses.asdict(outcome), ensure_ascii=False) + "\n"


def fingerprint(utterance: CorpusUtterance) -> str:
    """Changes with the files of an utterance."""
    paths = [p for p in (utterance.video, utterance.audio) if p is not None and p.exists()]
    files = [f"{p.stat().st_size}-{p.stat().st_mtime_ns}" for p in paths]
    span = [f"{utterance.start}-{utterance.end}"] if utterance.start or utterance.end is not None else []
    return " ".join(files + span)
