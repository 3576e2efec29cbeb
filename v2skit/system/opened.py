"""Which files are opened while a block of code runs, by any library in any process: Linux's inotify(7)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_OPENED, _OVERFLOW = 0x20, 0x4000
_HEADER = struct.Struct("iIII")
_EVENT_BYTES = 1 << 16


@contextmanager
def opened(files: Iterable[Path]) -> Iterator[set[Path] | None]:
    """Watch files. The set that this gives has, after the block, those that were opened in it; it is None where the
    operating system can't watch them."""
    found: set[Path] = set()
    wanted = {path.resolve() for path in files}
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        queue = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    except AttributeError:
        queue = -1
    if queue < 0:
        yield None
        return
    try:
        folders: dict[int, Path] = {}
        for folder in sorted({path.parent for path in wanted}):
            watch = libc.inotify_add_watch(queue, os.fsencode(folder), _OPENED)
            if watch < 0:
                yield None
                return
            folders[watch] = folder
        yield found
        found |= _events(queue, folders, wanted)
    finally:
        os.close(queue)


def _events(queue: int, folders: dict[int, Path], wanted: set[Path]) -> set[Path]:
    """The wanted files among those that were opened; all of them where there were too many events to keep."""
    found: set[Path] = set()
    with suppress(BlockingIOError):
        while content := os.read(queue, _EVENT_BYTES):
            place = 0
            while place < len(content):
                watch, mask, _, size = _HEADER.unpack_from(content, place)
                name = content[place + _HEADER.size : place + _HEADER.size + size].rstrip(b"\0")
                if mask & _OVERFLOW:
                    return wanted
                found.add(folders[watch] / os.fsdecode(name))
                place += _HEADER.size + size
    return found & wanted
