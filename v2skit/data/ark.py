"""Sound and mouth crops of many utterances in few files: kaldiio archives, read in parts through memory maps.

A *place* is a file, or an entry of an archive as Kaldi's tables write it: ``audio/3.ark:1024``. kaldiio's own
``load_mat`` reads what is stored here: sound as ``(rate, samples)``, mouth crops as the bytes of an MP4.
"""

from __future__ import annotations

import io
import mmap
import os
import re
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import kaldiio
import numpy as np

from v2skit.errors import UserError

MAPS = 1024
"""Archives that a process keeps mapped."""

_PLACE = re.compile(r"(.*\.ark):(\d+)")
_KINDS = (b"AUDIO", b"NPY")


class Ark:
    """An archive to add entries to.

    Args:
        path: made where there is none; entries go behind those in it.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._name, self._file = f"{path.parent.name}/{path.name}", path.open("ab")

    def add_sound(self, key: str, waveform: np.ndarray, sample_rate: int) -> str:
        """Store float (N,) as FLAC of 16 bits; samples beyond [-1, 1] are clipped. Returns its place, with the
        archive's folder."""
        options = {"format": "flac", "subtype": "PCM_16"}
        return self._add(key, (sample_rate, np.clip(waveform, -1.0, 1.0)), "soundfile", options)

    def add_bytes(self, key: str, content: bytes) -> str:
        """Store the content of a file. Returns its place."""
        return self._add(key, np.frombuffer(content, np.uint8), "numpy", None)

    def _add(self, key: str, value: object, kind: str, options: dict | None) -> str:
        place = f"{self._name}:{self._file.tell() + len(key.encode()) + 1}"
        kaldiio.save_ark(self._file, {key: value}, write_function=kind, write_kwargs=options)
        self._file.flush()
        return place

    def close(self) -> None:
        """Close the file, once it is on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()


def parts(place: Path) -> tuple[Path, int | None]:
    """(file, offset of the entry or None where the place is a file)."""
    found = _PLACE.fullmatch(str(place))
    return (Path(found[1]), int(found[2])) if found else (place, None)


def exists(place: Path) -> bool:
    """Whether there is such a file, and it reaches beyond the entry's beginning."""
    path, offset = parts(place)
    try:
        return path.stat().st_size > (offset or 0)
    except OSError:
        return False


def opened(place: Path) -> str | BinaryIO:
    """What soundfile and PyAV open: the path of a file, or an entry of an archive as a file.

    Raises:
        UserError: the archive has no such entry.
        OSError: it can't be read.
    """
    path, offset = parts(place)
    if offset is None:
        return str(place)
    state = path.stat()  # an archive that was made anew is mapped anew
    if not state.st_size:  # can't be mapped
        raise UserError(f"{place} is cut short; prepare the data again (stage 1 --force)")
    content = _mapped(str(path), state.st_ino, state.st_size, state.st_mtime_ns)
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
    return _Entry(memoryview(content)[start:end])  # type: ignore[return-value]


@lru_cache(MAPS)
def _mapped(path: str, *state: int) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class _Entry:
    """A file within a memory map; only the pages that are read are fetched.

    It is no ``io.RawIOBase``, whose making, closing and checks take longer than the reading.
    """

    def __init__(self, content: memoryview) -> None:
        self._content, self._at = content, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, len(self._content))[whence])
        return self._at

    def readinto(self, buffer) -> int:
        part = self._content[self._at : self._at + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)

    def read(self, size: int) -> bytes:
        part = bytes(self._content[self._at : self._at + size])
        self._at += len(part)
        return part
