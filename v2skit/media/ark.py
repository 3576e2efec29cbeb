"""Sound and mouth crops of many utterances in few files: Kaldi archives, read in parts through memory maps.

A *place* is a file, or an entry of an archive as Kaldi's tables write it: ``audio/3.ark:1024``; what an entry is like
says :mod:`v2skit.data.kaldi`. Kaldi and ESPnet read these archives: sound as a waveform with its rate, mouth crops as
the bytes of an MP4. Places come from tables that others may have written, and no text in them is ever a command.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from v2skit.errors import UserError
from v2skit.media import kaldi
from v2skit.system.atomic import beside

MAPS = 1024
"""Archives that a process keeps mapped."""

OFFSET_DIGITS = 18
"""No file is longer than such a number of bytes."""


class Entry(NamedTuple):
    """Where an entry was written: its place, with the archive's folder, and where in the file it ends."""

    place: str
    end: int


class ArkWriter:
    """An archive to add entries to.

    Args:
        path: made where there is none; entries go behind those in it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._name, self._file = f"{path.parent.name}/{path.name}", path.open("ab")

    def add_audio(self, key: str, waveform: np.ndarray, sample_rate: int) -> Entry:
        """Store float (N,) as FLAC of 16 bits; samples beyond [-1, 1] are clipped."""
        return self._add(key, kaldi.sound_entry(np.clip(waveform, -1.0, 1.0), sample_rate))

    def add_bytes(self, key: str, content: bytes) -> Entry:
        """Store the content of a file."""
        return self._add(key, kaldi.bytes_entry(content))

    def _add(self, key: str, entry: bytes) -> Entry:
        name = key.encode() + b" "
        place = f"{self._name}:{self._file.tell() + len(name)}"
        self._file.write(name + entry)
        self._file.flush()
        return Entry(place, self._file.tell())

    def close(self) -> None:
        """Close the file, once it is on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()


def split_location(place: Path) -> tuple[Path, int | None]:
    """(file, offset of the entry or None where the place is a file)."""
    path, offset = _split(os.fspath(place))
    return (place, None) if offset is None else (Path(path), offset)


def _split(place: str) -> tuple[str, int | None]:
    if "\0" in place:  # which the system takes for the end of a path
        raise UserError(f"{place!r} is no path of a file; correct the table that it is in")
    path, colon, offset = place.rpartition(":")
    entry = colon and path.endswith(".ark") and offset.isdecimal() and len(offset) <= OFFSET_DIGITS
    return (path, int(offset)) if entry else (place, None)


def exists(place: Path) -> bool:
    """Whether there is such a file, or the archive of an entry."""
    return os.path.exists(split_location(place)[0])


def missing_file_hint(place: Path) -> str:
    """What to add to an error where there is no such file; else nothing."""
    return "" if exists(place) else "; relative paths in a table start at its own folder"


def open_location(place: Path) -> str | Part:
    """What soundfile and PyAV open: the path of a file, or an entry of an archive as a file.

    Raises:
        UserError: the archive has no such entry, or the place is a command.
        OSError: it can't be read.
    """
    path, offset = _split(os.fspath(place))
    if offset is None:
        _refuse_commands(path)
        return path if os.path.isabs(path) else os.path.join(".", path)  # so that it is no URL and no "-" to either
    content = _content(path, place, kaldi.PREPARE_AGAIN)
    start, end = kaldi.file_span(content, offset, place)
    return Part(memoryview(content)[start:end])


def read_vector(place: Path, remedy: str) -> np.ndarray:
    """The vector in an entry of an archive, float32.

    Raises:
        UserError: the place is no entry, or that holds no vector, see :func:`v2skit.data.kaldi.read_vector`; the
            message ends in the remedy.
        OSError: it can't be read.
    """
    path, offset = _split(os.fspath(place))
    if offset is None:
        raise UserError(f"{place} is no entry of an archive, such as vectors.ark:1024; {remedy}")
    return kaldi.read_vector(_content(path, place, remedy), offset, place, remedy)


def write_vectors(ark: Path, table: Path, vectors: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write an archive of vectors (N,), as float32, and the table ``key ark:offset`` of its entries; both are whole or
    not there, and the table comes last."""
    lines = []
    table.unlink(missing_ok=True)  # never beside another archive than its own
    with beside(table) as table_part:
        with beside(ark) as ark_part, ark_part.open("wb") as file:
            for key, vector in vectors:
                file.write(key.encode() + b" ")
                lines.append(f"{key} {ark}:{file.tell()}\n")
                file.write(kaldi.vector_entry(vector))
        table_part.write_text("".join(lines), encoding="utf-8")


def _refuse_commands(path: str) -> None:
    if path.endswith("|") or path.startswith("|") or "/|" in path:
        raise UserError(
            f"'{path}' is a command, and no command in a table is run; store what it writes, once, with Kaldi: "
            "wav-copy scp:wav.scp ark,scp:$PWD/wav.ark,new.scp, and put new.scp in the place of wav.scp"
        )


def _content(path: str, place: Path, remedy: str) -> mmap.mmap:
    state = os.stat(path)  # an archive that was made anew is mapped anew
    if not state.st_size:  # can't be mapped
        raise UserError(f"{place} is cut short; {remedy}")
    return _mapped(path, state.st_ino, state.st_size, state.st_mtime_ns)


@lru_cache(MAPS)
def _mapped(path: str, *state: int) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class Part:
    """A file within a memory map, as far as soundfile and PyAV use it; only the pages that are read are fetched. It is
    called some fifty times for a segment of sound, where :mod:`io`'s base classes would cost as much as the rest."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._at = content, 0

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to ``offset`` from the start, from here (``whence`` 1) or from the end (2); gives where that is."""
        self._at = offset if not whence else offset + (self._at if whence == 1 else len(self._content))
        return self._at

    def readinto(self, buffer: memoryview | bytearray) -> int:
        """Fill the buffer as far as there are bytes; gives how many."""
        part = self._content[self._at : self._at + len(buffer)]
        count = len(part)
        buffer[:count] = part
        self._at += count
        return count

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes; negative: all that are left."""
        part = bytes(self._content[self._at : None if size < 0 else self._at + size])
        self._at += len(part)
        return part
