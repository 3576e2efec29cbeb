"""The sizes of tables that MP4 and QuickTime files state, checked before FFmpeg allocates them: in 1.5 kB a file may
state billions of frames.

The boxes are those of ISO/IEC 14496-12, and are walked as FFmpeg walks them: a box is recognised wherever it is.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from v2skit.errors import UserError

MAX_SAMPLES = 8_000_000
"""Entries of a track's index for which the file has no table, and those that edit lists repeat; some 200 MB."""

PCM_SAMPLES_PER_ENTRY = 1024
"""FFmpeg's index of sound without compression has an entry for so many samples."""

MAX_BOXES = 4_000_000
"""Read in half a minute; two hours of video in fragments of one frame have as many."""

MAX_ROWS = 1_000_000
"""Of a table of chunks."""

MAX_DEPTH = 12
MAX_HEADER_BYTES = 64 << 20
"""Of a compressed header."""

_CONTAINERS = frozenset(b"moov trak mdia minf stbl edts dinf udta mvex moof traf cmov".split())
_TRUN_TABLES = 0xF00
"""Flags of a ``trun`` box with a table."""


@dataclass
class _Track:
    """What is stated about a track, or a fragment."""

    handlers: set[bytes] = field(default_factory=set)
    steps: set[tuple[int, int]] = field(default_factory=set)
    without_table: int = 0
    samples: int = 0
    chunks: int = 0
    rows: list[tuple[int, int]] = field(default_factory=list)
    edits: int = 0

    @property
    def is_pcm(self) -> bool:
        """Whether FFmpeg takes it for sound without compression, of which it makes no entry per sample."""
        return b"soun" in self.handlers and b"vide" not in self.handlers and self.steps == {(1, 1)}

    @property
    def entries(self) -> int:
        """Entries of the index for which there is no table, those that edits repeat included."""
        once = self._pcm if self.is_pcm else self.without_table
        repeated = self.edits * (max(once, self.chunks) if self.is_pcm else self.samples) if self.edits > 2 else 0
        return once + repeated

    @property
    def _pcm(self) -> int:
        """Entries of sound without compression: each row has the first of its chunks, and the samples of each."""
        firsts = [1, *(first for first, _ in self.rows[1:])]
        if firsts != sorted(firsts):  # then FFmpeg changes them
            return self.chunks * max(_pcm_entries(samples) for _, samples in self.rows)
        ends = [min(end, self.chunks + 1) for end in (*firsts[1:], self.chunks + 1)]
        counts = [max(0, end - first) for first, end in zip(firsts, ends, strict=True)]
        return sum(count * _pcm_entries(samples) for count, (_, samples) in zip(counts, self.rows, strict=False))


def _pcm_entries(samples: int) -> int:
    return -(-samples // PCM_SAMPLES_PER_ENTRY)


def check_tables(path: Path) -> None:
    """Raises UserError where the tables that a file states would take too much memory; of other formats, nothing."""
    with path.open("rb") as file:  # not mapped: an error of the disk, or a file that is cut meanwhile, would be a crash
        stated = sum(track.entries for track in _tracks(file, path))
    if stated > MAX_SAMPLES:
        raise UserError.about(
            path,
            f"is damaged: its header states {stated} frames and edits that are not in it; convert it with "
            "ffmpeg -i VIDEO -c copy COPY.mkv, or record it again",
        )


def _tracks(content: BinaryIO, path: Path) -> Iterator[_Track]:
    track = _Track()
    for count, (name, body, end) in enumerate(_boxes(content, 0, content.seek(0, os.SEEK_END), 0)):
        if count == MAX_BOXES:
            raise UserError.about(
                path, f"has more than {MAX_BOXES} boxes; convert it with ffmpeg -i VIDEO -c copy COPY.mkv"
            )
        number = _numbers(content, body, end)
        if name in (b"trak", b"moof"):
            yield track
            track = _Track()
        elif name == b"hdlr":
            track.handlers.add(_read(content, body + 8, body + 12))
        elif name == b"stts" and number(1):
            track.steps.add((number(1), number(3)))
        elif name == b"stsz":
            track.samples += number(2)
            track.without_table += number(2) if number(1) else 0
        elif name in (b"stco", b"co64"):
            track.chunks += number(1)
        elif name == b"stsc":
            table = _read(content, body + 8, min(end, body + 8 + 12 * min(number(1), MAX_ROWS)))
            rows = struct.iter_unpack(">III", table[: len(table) // 12 * 12])
            track.rows += [(first, samples) for first, samples, _ in rows]
        elif name == b"elst":
            track.edits += number(1)
        elif name == b"trun" and not number(0) & _TRUN_TABLES:
            track.without_table += number(1)
        elif name == b"cmvd":
            with suppress(zlib.error):  # FFmpeg does not read it either
                header = zlib.decompressobj().decompress(_read(content, body + 4, end), MAX_HEADER_BYTES)
                yield from _tracks(io.BytesIO(header), path)
    yield track


def _read(content: BinaryIO, begin: int, end: int) -> bytes:
    """The bytes from one position to another, fewer at the end of the file."""
    content.seek(begin)
    return content.read(max(0, end - begin))


def _numbers(content: BinaryIO, body: int, end: int) -> Callable[[int], int]:
    """Index -> the number of 32 bits in the body of a box; 0 after its end."""

    def number(index: int) -> int:
        at = body + 4 * index
        return int.from_bytes(_read(content, at, at + 4), "big") if at + 4 <= end else 0

    return number


def _boxes(content: BinaryIO, position: int, end: int, depth: int) -> Iterator[tuple[bytes, int, int]]:
    """(name, begin, end) of the bodies of boxes, and of those in them; as far as they are in the file."""
    while position + 8 <= end:
        start = _read(content, position, position + 16)
        if len(start) < 8:  # the file was cut meanwhile
            return
        size, name = struct.unpack_from(">I4s", start)
        header = 8
        if size == 1 and position + 16 <= end:
            size, header = int.from_bytes(start[8:], "big"), 16
        elif size == 0:
            size = end - position
        if size < header:
            return
        body, stop = position + header, min(position + size, end)
        yield name, body, stop
        if name in _CONTAINERS and depth < MAX_DEPTH:
            yield from _boxes(content, body, stop, depth + 1)
        position += size
