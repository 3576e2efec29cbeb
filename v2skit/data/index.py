"""Data directories compiled into one file each: however many utterances there are, opening takes no time.

Its numbers are mapped into memory, of which all processes of a machine share one copy. What is known of an utterance is
read when it is asked for: a map would bring in 64 KB around it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import mmap
import os
import struct
import time
import uuid
import weakref
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tqdm import tqdm

from v2skit.data.data_dir import TABLES, Utterance, check_there, is_length, read_tables, resolved
from v2skit.data.numbered import Numbered
from v2skit.data.sampler import Runs, runs_of
from v2skit.errors import UserError

NAME, FORMAT = "index.bin", 2
HEADER_BYTES = 8192
TICK_NS = 20_000_000
"""File systems tell times at least as finely as this."""
_END = ("", "")


class Index(Numbered[Utterance]):
    """The utterances of a data directory, sorted by id; made by :func:`open_index`.

    It is pickled as the names of its directory and file.

    Args:
        directory: that paths are relative to.
        path: the compiled file.
        tables: what the tables were like when it was compiled, see :func:`_state`.

    Attributes:
        frames: lengths in video frames, int32 (N,).
        runs: for the sampler.
        lacking: ``audio``, ``video`` -> (how many utterances have none, id of the first of them).

    Raises:
        UserError: it is damaged, or was compiled from other tables.
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
            raise UserError(f"{directory} changed after work with it began; give the same command again")
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

    def at(self, number: int) -> Utterance:
        """The utterance with this number, read from the file."""
        start, end = struct.unpack("=qq", os.pread(self._file, 16, self._starts_at + 8 * number))
        row = os.pread(self._file, end - start, start).decode().split("\n")
        key, speaker, audio, video, text, count = row
        sound, picture = (resolved(self.directory, path or None) for path in (audio, video))
        return Utterance(key, speaker, int(count), sound, picture, text or None)


class Joined(Numbered[Utterance]):
    """The utterances of several indexes, numbered through."""

    def __init__(self, indexes: list[Index]) -> None:
        self.indexes = indexes
        self._starts = np.cumsum([0, *map(len, indexes)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def at(self, number: int) -> Utterance:
        """The utterance with this number."""
        return self.find(number)[1]

    def find(self, number: int) -> tuple[int, Utterance]:
        """(number of the index that an utterance is in, the utterance)."""
        if not 0 <= number < len(self):
            raise IndexError(number)
        which = int(np.searchsorted(self._starts, number, "right")) - 1
        return which, self.indexes[which][number - int(self._starts[which])]


def open_index(directory: Path) -> Index:
    """The index of a data directory, compiled where there is none, or it is damaged or older than the tables.

    It is stored beside the tables or, where that can't be, below the user's cache folder.

    Raises:
        UserError: the directory is missing, incomplete or inconsistent, or the index can be stored nowhere.
    """
    check_there(directory, "utt2num_frames")
    found = _stored(directory)
    if found is not None:
        return found
    with _alone(directory):  # of several processes that start at once, one compiles and the others wait
        found = _stored(directory)
        return _compile(directory) if found is None else found


def _places(directory: Path) -> list[Path]:
    """Where its index may be, the best place first."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
    return [directory / NAME, cache / "v2skit" / f"{name}.bin"]


def _state(directory: Path) -> dict[str, list[int]]:
    """Changes with the tables: name -> size, time of the last change in ns."""
    states = {name: (directory / name).stat() for name in TABLES if (directory / name).exists()}
    return {name: [state.st_size, state.st_mtime_ns] for name, state in states.items()}


def _stored(directory: Path) -> Index | None:
    """The index as it is stored, None where it is missing, damaged or of other tables."""
    state = _state(directory)
    for path in _places(directory):
        try:
            return Index(directory, path, state)
        except (OSError, UserError):
            continue
    return None


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait for other processes that compile the directory's index; not where the file system can't lock folders."""
    folder = os.open(directory, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _compile(directory: Path) -> Index:
    state = _state(directory)
    age = time.time_ns() - max(changed for _, changed in state.values())
    if 0 <= age < TICK_NS:  # a change of the same size within the file system's tick would go unseen
        time.sleep((TICK_NS - age) / 1e9)
    refused = []
    for path in _places(directory):
        try:
            _write(path, directory, state)
        except OSError as error:
            refused.append(f"{path} ({error.strerror})")
            continue
        if refused:
            print(f"note: an index can't be written to {refused[0]}; it is {path}")
        return Index(directory, path, state)
    raise UserError(
        f"the index of a data directory can be written neither to {' nor to '.join(refused)}; "
        "make one of these folders writable, or name another in XDG_CACHE_HOME"
    )


def _write(path: Path, directory: Path, state: dict) -> None:
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")  # several machines may be at it at once
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb") as file:
            try:
                _fill(file, _rows(directory), state)
            except (_Irregular, UnicodeDecodeError):
                file.truncate(0)
                _fill(file, _rows_of_any(directory), state)
            file.flush()
            os.fsync(file.fileno())  # after a power cut it is whole or not there
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _fill(file: BinaryIO, rows: Iterable[tuple[list[str], str]], state: dict) -> None:
    """Write the compiled file: a header in JSON, the records, and arrays of numbers."""
    file.seek(HEADER_BYTES)
    starts, frames, speakers = array("q", [HEADER_BYTES]), array("i"), set()
    lacking: dict[str, tuple[int, str | None]] = {"audio": (0, None), "video": (0, None)}
    for row, count in tqdm(rows, "indexing", unit=" utterances", delay=2, mininterval=1.0, dynamic_ncols=True):
        starts.append(starts[-1] + file.write("\n".join([*row, count]).encode()))
        frames.append(int(count))
        speakers.add(row[1])
        for name, value in zip(lacking, row[2:4], strict=True):
            if not value:
                count_lacking, first = lacking[name]
                lacking[name] = (count_lacking + 1, first or row[0])
    lengths = np.array(frames, np.int32)
    names = np.frombuffer("\n".join(sorted(speakers)).encode(), np.uint8)
    arrays = {"starts": np.array(starts), "frames": lengths, **runs_of(lengths)._asdict(), "speakers": names}
    sections = {}
    for name, values in arrays.items():
        file.write(bytes(-file.tell() % 8))
        sections[name] = (values.dtype.str, len(values), file.tell())
        file.write(values.tobytes())
    header = {"format": FORMAT, "tables": state, "bytes": file.tell(), "lacking": lacking, "at": sections}
    file.seek(0)
    file.write(json.dumps(header).encode().ljust(HEADER_BYTES))


class _Irregular(Exception):
    """Tables that are not sorted, or not whole: no error yet."""


def _rows(directory: Path) -> Iterator[tuple[list[str], str]]:
    """(the columns, number of frames) of each utterance, from tables that are sorted by id, line beside line.

    Raises:
        _Irregular: they are not sorted, or there is something wrong with them.
    """
    paths = [directory / name for name in ("utt2spk", "wav.scp", "video.scp", "text")]
    tables = [_lines(path) if path.exists() else iter(()) for path in paths]
    heads = [next(table, _END) for table in tables]
    for key, count in _lines(directory / "utt2num_frames"):
        row = [key]
        for column, (head, value) in enumerate(heads):
            if head == key:
                row.append(value)
                heads[column] = next(tables[column], _END)
            else:
                row.append("")
        if not row[1] or not is_length(count):
            raise _Irregular
        yield row, count
    if any(head != _END for head in heads):
        raise _Irregular


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    previous = ""
    with path.open(encoding="utf-8") as file:
        for line in file:
            key, value = [*line.split(None, 1), "", ""][:2]
            if not value or key <= previous:
                raise _Irregular
            previous = key
            yield key, value.rstrip()


def _rows_of_any(directory: Path) -> Iterator[tuple[list[str], str]]:
    """The same from tables in any order. Raises UserError for what is wrong with them."""
    tables = read_tables(directory)
    columns = [tables[name] for name in ("utt2spk", "wav.scp", "video.scp", "text")]
    for key, count in sorted(tables["utt2num_frames"].items()):
        yield [key, *(column.get(key, "") for column in columns)], count
