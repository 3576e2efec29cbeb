"""The record of a shard: what preparation made of each of its utterances, one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.data.data_dir import is_prepared
from v2skit.errors import UserError
from v2skit.media.ark import split_location
from v2skit.system.atomic import exclusive_lock, write_text
from v2skit.system.checksum import sha256_of
from v2skit.system.locks import Locked
from v2skit.system.progress import ProgressBar

SHARDS = "shards"

BAR_AFTER_SECONDS = 3.0
"""Comparing files takes longer only where they are read, as after copying a corpus, or where their disk is slow."""

_Count = Annotated[int, Field(ge=0, lt=2**62)]


def _below(place: str) -> str:
    path = PurePosixPath(place)
    if path.is_absolute() or ".." in path.parts or "\0" in place:
        raise ValueError("not below the data directory")
    return place


_Place = Annotated[str, AfterValidator(_below)]


@dataclass(frozen=True)
class Outcome:
    """The result of preparing an utterance.

    Args:
        id: of the utterance.
        frames: its length in video frames.
        audio: place of its audio below the data directory, or None.
        video: place of its mouth crops, or None.
        audio_end: end of the audio in its archive, bytes.
        video_end: likewise the mouth crops.
        reason: why it was excluded, None where it was not.
        notes: what was changed.
        measures: of its quality, see :class:`v2skit.preparation.utterance.Prepared`.
        fingerprint: of the content of its files.
        state: of its files when they were read, by which they are the same without being read. Records of earlier
            versions have it as their fingerprint.
        audio_needed: whether a lack of audio excludes it.
    """

    id: str
    frames: _Count = 0
    audio: _Place | None = None
    video: _Place | None = None
    audio_end: _Count = 0
    video_end: _Count = 0
    reason: str | None = None
    notes: list[str] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)
    fingerprint: str = ""
    state: str = ""
    audio_needed: bool = True

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    def line(self) -> str:
        """The line of the record."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False) + "\n"


_OUTCOME = TypeAdapter(Outcome)


def fingerprint(utterance: CorpusUtterance) -> str:
    """Size and digest of the files of an utterance, and its span in them. Reads the files."""
    return _described(utterance, lambda path, found: f"{found.st_size}-{_digest(path, *_version(found))}")


def state(utterance: CorpusUtterance) -> str:
    """Size and modification time of the files of an utterance, and its span in them."""
    return _described(utterance, lambda _, found: f"{found.st_size}-{found.st_mtime_ns}")


def _described(utterance: CorpusUtterance, describe: Callable[[Path, os.stat_result], str]) -> str:
    """The files of an utterance that can be read, each described, and its span."""
    found = []
    for path in (utterance.video, utterance.audio):
        with suppress(OSError, ValueError):
            found += [describe(path, path.stat())] if path is not None else []
    if utterance.start or utterance.end is not None:
        found.append(f"{utterance.start}-{utterance.end}")
    return " ".join(found)


def _version(found: os.stat_result) -> tuple[int, ...]:
    return found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=64)
def _digest(path: Path, *version: int) -> str:
    """Of a file while it is of that version; utterances may share one."""
    return sha256_of(path)[:16]


def records(folder: Path) -> list[Path]:
    """The records of a data directory's shards."""
    return sorted((folder / SHARDS).glob("*.jsonl"))


def read_record(path: Path) -> Iterator[Outcome]:
    """The outcomes of a record. Lines that were not written completely are skipped, and so are those with values that
    preparation does not write: their utterances are prepared again."""
    with path.open("rb") as file:
        for line in file:
            with suppress(ValueError):  # as those of pydantic
                yield _OUTCOME.validate_json(line, strict=True)


def read_outcomes(folder: Path) -> dict[str, Outcome]:
    """The outcomes of a data directory, by utterance id."""
    return {outcome.id: outcome for path in records(folder) for outcome in read_record(path)}


def check_idle(folder: Path) -> None:
    """Raises UserError where a job, possibly on a cluster, still writes to a shard of a data directory."""
    for path in records(folder):
        try:
            with exclusive_lock(path.with_suffix("")):
                pass
        except Locked as error:
            raise UserError(
                f"job {path.stem} of an earlier run is still running in {folder}; wait until it ends, or cancel it "
                "(jobs of a cluster: scancel --name v2skit)",
                **error.fields,
            ) from error


def keep_outcomes(folder: Path, utterances: Iterable[CorpusUtterance], audio_needed: bool) -> set[str]:
    """Bring the records up to date: delete the outcomes of changed files and incomplete archives, of videos that were
    kept without audio where it is needed now, and, unless the directory is prepared, of excluded utterances; of files
    that are only copies, which are read, store their states. Interrupted, it resumes.

    Args:
        folder: the data directory; no job may be writing to it.
        utterances: of the corpus's split.
        audio_needed: whether a lack of audio excludes them.

    Returns:
        the ids of utterances that are not to be prepared again.
    """
    retry, by_id = not is_prepared(folder), {u.id: u for u in utterances}
    archives, kept = _Archives(folder), set[str]()
    found = [(path, outcome) for path in records(folder) for outcome in read_record(path)]

    def stands(o: Outcome) -> bool:
        if o.reason:
            return not retry and o.audio_needed == audio_needed
        return bool(o.audio) or not audio_needed

    good: list[Outcome | None] = [o if stands(o) and archives.contain(o) else None for _, o in found]
    order = sorted(range(len(found)), key=lambda n: _file(by_id.get(found[n][1].id)))  # each file is read once
    try:
        for n in ProgressBar(order, f"comparing files of {folder.name}", unit=" clips", delay=BAR_AFTER_SECONDS):
            outcome = good[n]
            if outcome:
                good[n] = now = None if outcome.id in kept else _current(outcome, by_id.get(outcome.id))
                kept |= {outcome.id} if now else set()
    finally:
        lines: dict[Path, list[str]] = {path: [] for path in records(folder)}
        for (path, _), outcome in zip(found, good, strict=True):
            lines[path] += [outcome.line()] if outcome else []
        for path, of_shard in lines.items():
            if (text := "".join(of_shard)).encode() != path.read_bytes():
                write_text(path, text)
    return kept & by_id.keys()


def _file(utterance: CorpusUtterance | None) -> str:
    return str(utterance.video or utterance.audio) if utterance else ""


def _current(outcome: Outcome, utterance: CorpusUtterance | None) -> Outcome | None:
    """What to record of an outcome now; None where its files have other content. Copied files have another state and
    are read. Where the utterance is no longer in the corpus its outcome is kept, in case it returns."""
    if utterance is None:
        return outcome
    before, now = outcome.state or outcome.fingerprint, state(utterance)
    if before == now:
        return outcome
    return replace(outcome, state=now) if outcome.state and fingerprint(utterance) == outcome.fingerprint else None


class _Archives:
    """The archives of a data directory; the size of each is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[Path, int] = {}

    def contain(self, outcome: Outcome) -> bool:
        """Whether the audio and mouth crops of an outcome are completely in their archives."""
        places = (outcome.audio, outcome.audio_end), (outcome.video, outcome.video_end)
        return all(end <= self._size(split_location(self._folder / place)[0]) for place, end in places if place)

    def _size(self, path: Path) -> int:
        if path not in self._sizes:
            self._sizes[path] = path.stat().st_size if path.exists() else -1
        return self._sizes[path]
