"""Files in memory maps, of which only the pages that are read are loaded."""

from __future__ import annotations

import mmap
import os
from functools import lru_cache

MAX_MAPPED = 1024
"""Files that one process keeps mapped."""


def memory_map(path: str) -> mmap.mmap | None:
    """The content of a file; one that was replaced since the last call is mapped again. None where it is empty.

    Raises:
        OSError: the file cannot be read.
    """
    state = os.stat(path)
    return _mapped(path, state.st_ino, state.st_size, state.st_mtime_ns) if state.st_size else None


@lru_cache(MAX_MAPPED)
def _mapped(path: str, *state: int) -> mmap.mmap:
    with open(path, "rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


class MappedFile:
    """A read-only file object on a part of a memory map, with the methods that soundfile and PyAV call.

    Only the pages that are read are loaded. The methods are called some fifty times for one segment of audio, where the
    base classes of :mod:`io` would take as long as everything else together.
    """

    def __init__(self, content: memoryview) -> None:
        self._content, self._position = content, 0

    def tell(self) -> int:
        """The current position, bytes."""
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to ``offset`` from the start, from the current position (``whence`` 1) or from the end (2)."""
        self._position = offset if not whence else offset + (self._position if whence == 1 else len(self._content))
        return self._position

    def readinto(self, buffer: memoryview | bytearray) -> int:
        """Fill the buffer with the bytes that are left, and return their number."""
        chunk = self._content[self._position : self._position + len(buffer)]
        count = len(chunk)
        buffer[:count] = chunk
        self._position += count
        return count

    def read(self, size: int = -1) -> bytes:
        """Up to ``size`` bytes; all that are left where it is negative."""
        chunk = bytes(self._content[self._position : None if size < 0 else self._position + size])
        self._position += len(chunk)
        return chunk
