"""Sound and mouth crops of many utterances in few files: kaldiio archives, read in parts through memory maps.

A *place* is a file, or an entry of an archive as Kaldi's tables write it: ``audio/3.ark:1024``. kaldiio's own
``load_mat`` reads what is stored here: sound as ``(rate, samples)``, mouth crops as the bytes of an MP4.
"""

from __future__ import annotations

import mmap
import os
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import kaldiio
import numpy as np

from v2skit.errors import UserError

MAPS = 1024
"""Archives that a process keeps mapped."""

_KINDS = (b"AUDIO", b"NPY")


class Entry(NamedTuple):
    """Where an entry was written: its place, with the archive's folder, and where in the file it ends."""

    place: str
    end: int


class Ark:
    """An archive to add entries to.

    Args:
        path: made where there is none; entries go behind those in it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._name, self._file = f"{path.parent.name}/{path.name}", path.open("ab")

    def add_sound(self, key: str, waveform: np.ndarray, sample_rate: int) -> Entry:
        """Store float (N,) as FLAC of 16 bits; samples beyond [-1, 1] are clipped."""
        options = {"format": "flac", "subtype": "PCM_16"}
        return self._add(key, (sample_rate, np.clip(waveform, -1.0, 1.0)), "soundfile", options)

    def add_bytes(self, key: str, content: bytes) -> Entry:
        """Store the content of a file."""
        return self._add(key, np.frombuffer(content, np.uint8), "numpy", None)

    def _add(self, key: str, value: object, kind: str, options: dict | None) -> Entry:
        place = f"{self._name}:{self._file.tell() + len(key.encode()) + 1}"
        kaldiio.save_ark(self._file, {key: value}, write_function=kind, write_kwargs=options)
        self._file.flush()
        return Entry(place, self._file.tell())

    def close(self) -> None:
        """Close the file, once it is on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()


def parts(place: Path) -> tuple[Path, int | None]:
    """(file, offset of the entry or None where the place is a file)."""
    path, offset = _split(os.fspath(place))
    return (place, None) if offset is None else (Path(path), offset)


def _split(place: str) -> tuple[str, int | None]:
    path, colon, offset = place.rpartition(":")
    return (path, int(offset)) if colon and path.endswith(".ark") and offset.isdecimal() else (place, None)


def exists(place: Path) -> bool:
    """Whether there is such a file, or the archive of an entry."""
    return parts(place)[0].exists()


def opened(place: Path) -> str | BinaryIO:
    """What soundfile and PyAV open: the path of a file, or an entry of an archive as a file.

    Raises:
        UserError: the archive has no such entry.
        OSError: it can't be read.
    """
    path, offset = _split(os.fspath(place))
    if offset is None:
        return path
    state = os.stat(path)  # an archive that was made anew is mapped anew
    if not state.st_size:  # can't be mapped
        raise UserError(f"{place} is cut short; prepare the data again (stage 1 --force)")
    content = _mapped(path, state.st_ino, state.st_size, state.st_mtime_ns)
    kind = next((kind for kind in _KINDS if content[offset : offset + len(kind)] == kind), None)
    if kind is None:
        raise UserError(f"{place} is no entry of that archive; prepare the data again (stage 1 --force)")
    start = offset + len(kind)
    width = int.from_bytes(content[start : start + 1], "little")  # kaldiio: bytes of the length, the length, the entry
    length = int.from_bytes(content[start + 1 : start + 1 + width], "little")
    start, end = start + 1 + width, start + 1 + width + length
    if end > len(content):
        raise UserError(f"{place} is cut short; prepare the data again (stage 1 --force)")
    if kind == b"NPY":  # magic, version, and the length of the header before the bytes
        start += 10 + int.from_bytes(content[start + 8 : start + 10], "little")
    return _Part(memoryview(content)[start:end])  # type: ignore[return-value]  # what its readers use of a file


@lru_cache(MAPS)
def _mapped(path: str, *state: int) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class _Part:
    """A file within a memory map, as far as soundfile and PyAV use it; only the pages that are read are fetched. It is
    called some fifty times for a segment of sound, where :mod:`io`'s base classes would cost as much as the rest."""

    def __init__(self, content: memoryview) -> None:
        self._content, self._at = content, 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if not whence else offset + (self._at if whence == 1 else len(self._content))
        return self._at

    def readinto(self, buffer: memoryview | bytearray) -> int:
        part = self._content[self._at : self._at + len(buffer)]
        count = len(part)
        buffer[:count] = part
        self._at += count
        return count

    def read(self, size: int = -1) -> bytes:
        part = bytes(self._content[self._at : None if size < 0 else self._at + size])
        self._at += len(part)
        return part
