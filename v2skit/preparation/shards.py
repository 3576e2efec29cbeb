"""A shard of a data directory: the utterances that one job prepares, in archives of its own, with a record.

    audio/3.ark  video/3.ark  shards/3.jsonl

An utterance counts as prepared once its line is in the record; bytes of an archive without such a line are never read.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Generator, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.config.features import Clock, Crop
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.errors import UserError, printable, reason_of
from v2skit.media.ark import ArkWriter
from v2skit.media.crops import encode_crops
from v2skit.preparation.records import SHARDS, Outcome, fingerprint, state
from v2skit.preparation.utterance import prepare_utterance
from v2skit.system.atomic import exclusive_lock
from v2skit.tracking.tracker import Tracker

FULL_DISK_BYTES = 1_000_000


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
        tasks: those of a data directory are consecutive.
        tracker: finds the mouths.
        clock: rates of audio and video.
        crop: of the mouths.
        shard: its number; no other process may write to it.

    Raises:
        UserError: the disk is full, or another process has locked the shard.
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
    """Prepare one utterance. Any fault of its files is an outcome; only a full disk or memory is an error."""
    utterance = task.utterance
    before, content = state(utterance), fingerprint(utterance)
    try:
        prepared = prepare_utterance(utterance, tracker, clock, crop, task.audio_needed)
        places = writer.store(utterance.id, prepared.audio, prepared.crops)
        outcome = Outcome(
            utterance.id,
            prepared.frames,
            **places,
            notes=list(map(printable, prepared.notes)),
            measures=prepared.measures,
        )
    except UserError as error:
        outcome = Outcome(utterance.id, reason=reason_of(error))
    except (Exception, SystemExit) as error:
        if isinstance(error, MemoryError) or shutil.disk_usage(task.folder).free < FULL_DISK_BYTES:
            raise UserError(
                f"{utterance.id} can't be prepared: {error}; free some disk space or memory, then run the same "
                "command: it resumes"
            ) from error
        outcome = Outcome(utterance.id, reason=reason_of(error))
    outcome = dataclasses.replace(outcome, fingerprint=content, state=before, audio_needed=task.audio_needed)
    writer.record(outcome)
    return outcome


class _Writer:
    """Writes a shard; its archives are created with their first entries."""

    def __init__(self, folder: Path, shard: int, sample_rate: int, fps: int) -> None:
        self.folder, self.shard, self.sample_rate, self.fps = folder, shard, sample_rate, fps
        self._arks: dict[str, ArkWriter] = {}
        path = folder / SHARDS / f"{shard}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        self._record = path.open("a", encoding="utf-8")

    def store(self, key: str, audio: np.ndarray | None, crops: np.ndarray | None) -> dict[str, Any]:
        """Store audio, float32 (N,), and mouth crops, uint8 (T,H,W), or one of them. Returns their places."""
        places: dict[str, Any] = {}
        if audio is not None:
            places["audio"], places["audio_end"] = self._ark("audio").add_audio(key, audio, self.sample_rate)
        if crops is not None:
            places["video"], places["video_end"] = self._ark("video").add_bytes(key, encode_crops(crops, self.fps))
        return places

    def record(self, outcome: Outcome) -> None:
        """Write an outcome to the record."""
        self._record.write(outcome.line())
        self._record.flush()

    def _ark(self, kind: str) -> ArkWriter:
        if kind not in self._arks:
            self._arks[kind] = ArkWriter(self.folder / kind / f"{self.shard}.ark")
        return self._arks[kind]

    def close(self) -> None:
        for ark in self._arks.values():
            ark.close()
        self._record.close()
