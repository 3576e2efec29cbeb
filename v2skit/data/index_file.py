"""The file of an index: a header in JSON, a record of each utterance, and arrays of numbers."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from v2skit.data.by_length import runs_of
from v2skit.data.data_dir import check_id, is_length, read_tables
from v2skit.system.atomic import atomic_write
from v2skit.system.progress import ProgressBar
from v2skit.system.text_file import read_lines

FORMAT = 2
HEADER_BYTES = 8192
COLUMNS = ("utt2spk", "wav.scp", "video.scp", "text")
_END = ("", "")


def write_index(path: Path, directory: Path, tables: dict[str, list[int]]) -> None:
    """Compile the index of a data directory.

    Args:
        path: of the index; atomically written.
        directory: the data directory.
        tables: identifies the version of its tables.

    Raises:
        UserError: the tables are incomplete or inconsistent.
        OSError: the file can't be written.
    """
    with atomic_write(path) as part, part.open("wb") as file:  # several machines may compile at once
        try:
            _write(file, _rows(directory), tables)
        except (_UnsortedError, UnicodeDecodeError):
            file.truncate(0)
            _write(file, _rows_of_unsorted(directory), tables)


def _write(file: BinaryIO, rows: Iterable[tuple[list[str], str]], tables: dict[str, list[int]]) -> None:
    file.seek(HEADER_BYTES)
    starts, frames, speakers = array("q", [HEADER_BYTES]), array("i"), set()
    lacking: dict[str, tuple[int, str | None]] = {"audio": (0, None), "video": (0, None)}
    for row, count in ProgressBar(rows, "indexing", unit=" utterances", delay=2):
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
    header = {"format": FORMAT, "tables": tables, "bytes": file.tell(), "lacking": lacking, "at": sections}
    file.seek(0)
    file.write(json.dumps(header).encode().ljust(HEADER_BYTES))


class _UnsortedError(Exception):
    """Tables that are not sorted, or incomplete."""


def _rows(directory: Path) -> Iterator[tuple[list[str], str]]:
    """(id and :data:`COLUMNS`, number of frames) of each utterance, from sorted tables, which are merged line by line.

    Raises:
        _UnsortedError: the tables are not sorted, or have an error.
        UserError: an id is invalid.
    """
    paths = [directory / name for name in COLUMNS]
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
            raise _UnsortedError
        yield row, count
    if any(head != _END for head in heads):
        raise _UnsortedError


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    previous = ""
    for line in read_lines(path):
        key, value = [*line.split(None, 1), "", ""][:2]
        if not value or key <= previous:
            raise _UnsortedError
        check_id(key, path)
        previous = key
        yield key, value.rstrip()


def _rows_of_unsorted(directory: Path) -> Iterator[tuple[list[str], str]]:
    """The same from tables in any order. Raises UserError, which names the error, where they have one."""
    tables = read_tables(directory)
    columns = [tables[name] for name in COLUMNS]
    for key, count in sorted(tables["utt2num_frames"].items()):
        yield [key, *(column.get(key, "") for column in columns)], count
