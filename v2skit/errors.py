"""Errors that a user can correct; the command line prints them as one sentence, without a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class UserError(Exception):
    """An error in the input, the config or the installation, with a message that names the remedy.

    Args:
        message: a sentence for people; no code parses it.
        fields: its content for programs, such as ``key`` (of a setting) or ``path`` (of a file); they are pickled too.
            In a report of another process, paths are strings.
    """

    def __init__(self, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.fields = fields

    @classmethod
    def about(cls, path: Path, reason: str) -> UserError:
        """An error of a file: ``reason`` is the predicate of the sentence, such as "is empty; record it again"."""
        return cls(f"{path} {reason}", path=path, reason=reason)


def suggestion(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` with the nearest known name; where none is near, ``; known: ...`` with all of them."""
    known = sorted(map(str, known))
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""
