"""Text files, of limited size: pipes and devices, which may never end, and files that are mostly a hole are refused."""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from v2skit.errors import UserError

MAX_BYTES = 256 << 20
"""Of a file that is read as a whole."""

MAX_LINE = 1 << 20
"""Characters of a line."""


def open_text(path: Path, errors: str = "strict", encoding: str = "utf-8") -> io.TextIOWrapper:
    """Open a text file for reading.

    Args:
        path: of the file.
        errors: what becomes of bytes that are no text, as in :func:`open`.
        encoding: of the text.

    Raises:
        UserError: it is no file.
        OSError: it can't be opened.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise UserError.about(path, "can't be read, it is a pipe, a device or a folder; put a file in its place")
    return os.fdopen(opened, encoding=encoding, errors=errors)


def read_text(path: Path, errors: str = "strict", encoding: str = "utf-8") -> str:
    """The text of a file; arguments and errors as :func:`open_text`. Raises UserError where it is too large, too."""
    with open_text(path, errors, encoding) as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise UserError.about(path, f"is larger than {MAX_BYTES >> 20} MiB; put the right file in its place")
        return file.read()


def read_lines(path: Path, errors: str = "strict") -> Iterator[str]:
    """The lines of a text file with their ends, as they are read; arguments and errors as :func:`open_text`. Raises
    UserError where one is too long, too."""
    with open_text(path, errors) as file:
        while line := file.readline(MAX_LINE):
            if len(line) == MAX_LINE:
                raise UserError.about(
                    path, f"has a line of more than {MAX_LINE} characters; put a right one in its place"
                )
            yield line
