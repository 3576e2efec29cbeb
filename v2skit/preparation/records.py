"""The record of a shard: what preparation made of each of its utterances, one JSON object a line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.data.data_dir import is_prepared
from v2skit.errors import UserError
from v2skit.media.ark import split_location
from v2skit.system.atomic import exclusive_lock, write_text
from v2skit.system.locks import Locked

SHARDS = "shards"

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
        fingerprint: of its files.
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
    audio_needed: bool = True

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    def line(self) -> str:
        """The line of the record."""
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False) + "\n"


_OUTCOME = TypeAdapter(Outcome)


def fingerprint(utterance: CorpusUtterance) -> str:
    """Changes with the files of an utterance."""
    files = [state for p in (utterance.video, utterance.audio) if p is not None and (state := _state(p))]
    span = [f"{utterance.start}-{utterance.end}"] if utterance.start or utterance.end is not None else []
    return " ".join(files + span)


def _state(path: Path) -> str | None:
    """Size and modification time of a file; None where there is none, or it can't be read."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return f"{found.st_size}-{found.st_mtime_ns}"


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
    """Delete outcomes that are out of date from the records: of changed files and incomplete archives and, unless the
    directory is prepared, of excluded utterances.

    Args:
        folder: the data directory; no job may be writing to it.
        utterances: of the corpus's split.
        audio_needed: whether a lack of audio excludes them.

    Returns:
        the ids of utterances that are not to be prepared again.
    """
    retry, fingerprints = not is_prepared(folder), {u.id: fingerprint(u) for u in utterances}
    kept: set[str] = set()
    archives = _Archives(folder)
    for path in records(folder):
        good = []
        for outcome in read_record(path):
            tried = not outcome.reason or (not retry and outcome.audio_needed == audio_needed)
            # outcomes of utterances that are no longer in the corpus are kept, in case they return
            current = fingerprints.get(outcome.id, outcome.fingerprint) == outcome.fingerprint
            if outcome.id not in kept and tried and current and archives.contain(outcome):
                good.append(outcome)
                kept.add(outcome.id)
        text = "".join(outcome.line() for outcome in good)
        if text.encode() != path.read_bytes():
            write_text(path, text)
    return kept & fingerprints.keys()


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
