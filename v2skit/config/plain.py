"""What the values of a plain tree may be, whichever file they come from: printable keys, text that a path may have."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import Any

MAX_DEPTH = 50
"""Levels of keys and lists."""
MAX_KEY = 200
"""Characters of a key."""


def fault(tree: Any) -> tuple[str, str]:
    """The dotted key of the first value that no config has, and what is wrong with it; both are empty for none."""
    for value, place in _walk(tree):
        key = ".".join(place)
        if len(place) > MAX_DEPTH:
            return ".".join(place[:3]), f"nests deeper than {MAX_DEPTH} levels; flatten it"
        if isinstance(value, str) and _has_controls(value, but="\t\n\r"):
            return key, "text with control characters, such as NUL, can't be used; delete them"
        for name in value if isinstance(value, dict) else ():
            if isinstance(name, str) and (len(name) > MAX_KEY or _has_controls(name)):
                shown = ascii(name[:20])
                return key, f"the key {shown} has more than {MAX_KEY} characters or control characters; rename it"
    return "", ""


def _walk(tree: Any) -> Iterator[tuple[Any, tuple[str, ...]]]:
    """All values with their keys, without recursion: a tree may be deeper than Python's stack."""
    left: list[tuple[Any, tuple[str, ...]]] = [(tree, ())]
    while left:
        value, place = left.pop()
        yield value, place
        inside = (
            value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, (list, tuple)) else {}
        )
        left += [(inner, (*place, str(name))) for name, inner in reversed(inside.items())]


def _has_controls(text: str, but: str = "") -> bool:
    """Whether a text has control characters or surrogates, which neither a path nor a terminal takes."""
    return any(unicodedata.category(character) in ("Cc", "Cs") and character not in but for character in text)
