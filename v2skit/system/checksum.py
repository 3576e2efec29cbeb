"""Checksums of files and values."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises OSError where it can't be read."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def short_digest(value: Any) -> str:
    """Twelve hexadecimal digits that identify a value by its ``repr``: of texts, numbers, and lists and tuples of them.

    Records and names of files have them, so that they must stay the same in all versions.
    """
    return hashlib.sha256(repr(value).encode()).hexdigest()[:12]
