"""Index of a data directory, compiled into one file: opening it takes no time, whatever the number of utterances.

Its arrays of numbers are mapped into memory, of which all processes of a machine share one copy. The record of an
utterance is read on access: a memory map would load 64 KB around it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import os
import struct
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from v2skit.data.by_length import Runs
from v2skit.data.data_dir import TABLES, Utterance, check_there, resolved
from v2skit.data.index_file import FORMAT, HEADER_BYTES, write_index
from v2skit.data.lazy_sequence import LazySequence
from v2skit.errors import UserError
from v2skit.system.state_file import check_permission

NAME = "index.bin"
TICK_NS = 20_000_000
"""Resolution of the times of file systems, at least."""


class Index(LazySequence[Utterance]):
    """The utterances of a data directory, sorted by id; made by :func:`open_index`.

    It is pickled as the names of its directory and file.

    Args:
        directory: the data directory, to which paths are relative.
        path: the compiled file.
        tables: version of the tables that it was compiled from, see :func:`_version`.

    Attributes:
        frames: lengths in video frames, int32 (N,).
        runs: the utterances in order of length, for the sampler.
        lacking: ``audio``, ``video`` -> (number of utterances without it, id of the first of them).

    Raises:
        UserError: the file is damaged, or was compiled from another version of the tables.
        OSError: it can't be read.
    """

    def __init__(self, directory: Path, path: Path, tables: dict) -> None:
        self.directory, self.path, self._tables = directory, path, tables
        try:
            self._file = os.open(path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)
            content = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)
            header = json.loads(content[:HEADER_BYTES])
            found = header["format"], header["tables"], header["bytes"]
            self.lacking = {name: tuple(value) for name, value in header["lacking"].items()}
            sections = header["at"].items()
            self._sections = {n: np.frombuffer(content, t, count, start) for n, (t, count, start) in sections}
            self._starts_at = header["at"]["starts"][2]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is damaged ({error}); delete it") from error
        if found != (FORMAT, tables, len(content)):
            raise UserError(f"{directory} changed while it was in use; run the same command again")
        self.frames = self._sections["frames"]
        self.runs = Runs(*(self._sections[name] for name in Runs._fields))

    def __reduce__(self) -> tuple:
        return Index, (self.directory, self.path, self._tables)

    @property
    def speakers(self) -> list[str]:
        """The names of all speakers, sorted."""
        return [name for name in self._sections["speakers"].tobytes().decode().split("\n") if name]

    def __len__(self) -> int:
        return len(self.frames)

    def item(self, number: int) -> Utterance:
        """The utterance with this number, read from the file."""
        start, end = struct.unpack("=qq", os.pread(self._file, 16, self._starts_at + 8 * number))
        row = os.pread(self._file, end - start, start).decode().split("\n")
        key, speaker, audio, video, text, count = row
        audio_path, video_path = (resolved(self.directory, path or None) for path in (audio, video))
        return Utterance(key, speaker, int(count), audio_path, video_path, text or None)


class Joined(LazySequence[Utterance]):
    """The utterances of several indexes, numbered consecutively."""

    def __init__(self, indexes: list[Index]) -> None:
        self.indexes = indexes
        self._starts = np.cumsum([0, *map(len, indexes)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def item(self, number: int) -> Utterance:
        """The utterance with this number."""
        return self.find(number)[1]

    def find(self, number: int) -> tuple[int, Utterance]:
        """(number of the index with this utterance, the utterance)."""
        which, row = self.place(number)
        return which, self.indexes[which][row]

    def place(self, number: int) -> tuple[int, int]:
        """(number of the index with this utterance, its number in that index)."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        which = int(np.searchsorted(self._starts, number, "right")) - 1
        return which, number - int(self._starts[which])


def open_index(directory: Path) -> Index:
    """The index of a data directory, compiled where it is missing, damaged or older than the tables.

    It is stored in the data directory or, where that is not writable, in the user's cache folder.

    Raises:
        UserError: the directory is missing, incomplete or inconsistent, or the index can't be stored.
    """
    check_there(directory, "utt2num_frames")
    found = _stored(directory)
    if found is not None:
        return found
    with _locked(directory):  # of several processes that start at once, one compiles and the others wait
        found = _stored(directory)
        return _compile(directory) if found is None else found


def _places(directory: Path) -> list[Path]:
    """Where its index may be stored, in order of preference."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(os.fsencode(directory.resolve())).hexdigest()[:16]
    return [directory / NAME, cache / "v2skit" / f"{name}.bin"]


def _version(directory: Path) -> dict[str, list[int]]:
    """The version of the tables: name -> size, modification time in ns."""
    for name in TABLES:
        check_permission(directory / name)
    states = {name: (directory / name).stat() for name in TABLES if (directory / name).exists()}
    return {name: [state.st_size, state.st_mtime_ns] for name, state in states.items()}


def _stored(directory: Path) -> Index | None:
    """The stored index, None where it is missing, damaged or of another version of the tables."""
    version = _version(directory)
    for path in _places(directory):
        try:
            return Index(directory, path, version)
        except (OSError, UserError):
            continue
    return None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Wait for processes that compile the directory's index; not where the file system can't lock folders."""
    folder = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _compile(directory: Path) -> Index:
    version = _version(directory)
    age = time.time_ns() - max(changed for _, changed in version.values())
    if 0 <= age < TICK_NS:  # otherwise a later change within the same tick would not be detected
        time.sleep((TICK_NS - age) / 1e9)
    refused = []
    for path in _places(directory):
        try:
            write_index(path, directory, version)
        except OSError as error:
            refused.append(f"{path} ({error.strerror})")
            continue
        if refused:
            print(f"note: an index can't be written to {refused[0]}; it is written to {path}")
        return Index(directory, path, version)
    raise UserError(
        f"the index of a data directory can be written neither to {' nor to '.join(refused)}; "
        "make one of these folders writable, or set XDG_CACHE_HOME to another"
    )
