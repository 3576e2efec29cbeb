"""Audio and mouth crops of many utterances in few files: Kaldi archives, of which segments are read by memory mapping.

A *location* is the path of a file, or an entry of an archive as Kaldi's tables write it: ``audio/3.ark:1024``.
:mod:`v2skit.media.kaldi` defines the entries. Kaldi and ESPnet read these archives: audio as a waveform with its sample
rate, mouth crops as the bytes of an MP4 file. Locations come from tables that anyone may have written; no text in them
is ever run as a command.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from mmap import mmap
from pathlib import Path
from typing import NamedTuple

import numpy as np

from v2skit.errors import UserError
from v2skit.media import kaldi
from v2skit.media.formats import local_name
from v2skit.media.memory_map import MappedFile, memory_map
from v2skit.system.atomic import atomic_write

MAX_OFFSET_DIGITS = 18
"""Decimal digits of the largest offset: no file is longer."""


class ArkEntry(NamedTuple):
    """Where an entry was written.

    Args:
        location: ``<folder of the archive>/<archive>:<offset>``.
        end: offset of the end of the entry in the archive, bytes.
    """

    location: str
    end: int


class ArkWriter:
    """Appends entries to an archive.

    Args:
        path: of the archive; created with its folder where there is none.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._name, self._file = f"{path.parent.name}/{path.name}", path.open("ab")

    def add_audio(self, key: str, waveform: np.ndarray, sample_rate: int) -> ArkEntry:
        """Append float (N,) as 16-bit FLAC; samples beyond [-1, 1] are clipped."""
        return self._add(key, kaldi.audio_entry(np.clip(waveform, -1.0, 1.0), sample_rate))

    def add_bytes(self, key: str, content: bytes) -> ArkEntry:
        """Append the content of a file."""
        return self._add(key, kaldi.bytes_entry(content))

    def _add(self, key: str, entry: bytes) -> ArkEntry:
        prefix = key.encode() + b" "
        location = f"{self._name}:{self._file.tell() + len(prefix)}"
        self._file.write(prefix + entry)
        self._file.flush()
        return ArkEntry(location, self._file.tell())

    def close(self) -> None:
        """Close the file once its content is on the disk."""
        os.fsync(self._file.fileno())
        self._file.close()


def split_location(location: Path) -> tuple[Path, int | None]:
    """(path of the file or archive, offset of the entry; None where the location is a file).

    Raises:
        UserError: the location contains a null character.
    """
    path, offset = _split(os.fspath(location))
    return (location, None) if offset is None else (Path(path), offset)


def _split(location: str) -> tuple[str, int | None]:
    if "\0" in location:  # the operating system would take it for the end of the path
        raise UserError(f"{location!r} is no path of a file; correct the table that it is in")
    path, colon, offset = location.rpartition(":")
    is_entry = colon and path.endswith(".ark") and offset.isdecimal() and len(offset) <= MAX_OFFSET_DIGITS
    return (path, int(offset)) if is_entry else (location, None)


def exists(location: Path) -> bool:
    """Whether the file, or the archive of the entry, exists."""
    return os.path.exists(split_location(location)[0])


def missing_file_hint(location: Path) -> str:
    """The end of an error message where there is no such file; empty where there is."""
    return "" if exists(location) else "; relative paths in a table start at its own folder"


def open_location(location: Path) -> str | MappedFile:
    """What soundfile and PyAV open: the path of a file, or a file object on an entry of an archive.

    Raises:
        UserError: the archive has no such entry, or the location is a command, or no regular file: a named pipe would
            block for ever.
        OSError: the archive cannot be read.
    """
    path, offset = _split(os.fspath(location))
    if offset is None:
        _refuse_commands(path)
        _refuse_pipes(path)
        return local_name(path)
    content = _content(path, location, kaldi.PREPARE_AGAIN)
    start, end = kaldi.file_span(content, offset, location)
    return MappedFile(memoryview(content)[start:end])


def read_vector(location: Path, remedy: str) -> np.ndarray:
    """The vector of an archive's entry, float32 (N,).

    Args:
        location: of the entry.
        remedy: end of the error messages.

    Raises:
        UserError: the location is no entry, or holds no vector, see :func:`v2skit.media.kaldi.read_vector`.
        OSError: the archive cannot be read.
    """
    path, offset = _split(os.fspath(location))
    if offset is None:
        raise UserError(f"{location} is no entry of an archive, such as vectors.ark:1024; {remedy}")
    return kaldi.read_vector(_content(path, location, remedy), offset, location, remedy)


def write_vectors(ark: Path, table: Path, vectors: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write vectors to an archive, with the table of its entries, ``key ark:offset``.

    Both files are written atomically, the table last.

    Args:
        ark: path of the archive.
        table: path of the table.
        vectors: (key, vector (N,)), which is stored as float32.
    """
    lines = []
    table.unlink(missing_ok=True)  # it must never stand for another archive's entries
    with atomic_write(table) as table_part:
        with atomic_write(ark) as ark_part, ark_part.open("wb") as file:
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


def _refuse_pipes(path: str) -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return  # whoever opens it reports why
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is a folder, a named pipe or a device; put the path of a file into the table")


def _content(path: str, location: Path, remedy: str) -> mmap:
    """The mapped archive."""
    content = memory_map(path)
    if content is None:
        raise UserError(f"{location} is cut short; {remedy}")
    return content
