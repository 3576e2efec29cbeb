"""Files that are whole or not there, whatever interrupts their writing; and folders that one process has."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from v2skit.errors import UserError


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A path in the same folder to write to; it takes the place of ``path`` when the block ends well, else it goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file."""
    with beside(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder for this process. Raises UserError where another process has it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UserError(f"another process is at work in {folder}; wait until it is done") from error
        yield
