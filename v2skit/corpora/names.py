"""Names of files and folders -> utterance ids and speakers."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

_UNFIT = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")  # surrogates are bytes that are not UTF-8

MAX_BYTES = 220
"""Longer names are cut, and end with a hash."""


def fit(name: str) -> str:
    """A name without white space and what else keys of tables must not contain."""
    name = _UNFIT.sub("_", name) or "_"
    if len(name.encode()) <= MAX_BYTES:
        return name
    return f"{name.encode()[:MAX_BYTES].decode(errors='ignore')}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def path_hash(path: Path) -> str:
    """A hash of a path, in whatever encoding its names are."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()
