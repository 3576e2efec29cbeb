"""Binary search in a sorted table on disk."""

from __future__ import annotations

import mmap
from functools import cached_property
from pathlib import Path


class Lookup:
    """A table of ``key value`` lines sorted by key, as in Kaldi. The file is mapped into memory, which all processes of
    a machine share, on first use, so that each worker process opens its own.

    Args:
        path: of the table, UTF-8; an empty one is an error.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def _lines(self) -> mmap.mmap:
        with self.path.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def get(self, key: str) -> str | None:
        """The value of a key, None where there is none."""
        wanted, lines = key.encode(), self._lines
        low, high = 0, len(lines)
        while low < high:
            start = lines.rfind(b"\n", low, (low + high) // 2) + 1 or low
            end = lines.find(b"\n", start) % (len(lines) + 1)  # the last line may have no line break
            found, _, value = lines[start:end].partition(b" ")
            if found == wanted:
                return value.decode().strip()
            low, high = (end + 1, high) if found < wanted else (low, start)
        return None
