"""Errors that a user can correct; the command line prints them as one sentence, without a traceback."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable
from pathlib import Path
from typing import Any

_PERMISSION = "change its permissions, or use another file or folder"
_REMEDIES = {
    errno.EACCES: _PERMISSION,
    errno.EPERM: _PERMISSION,
    errno.EROFS: "use another file or folder",
    errno.ENOSPC: "free some disk space",
    errno.EDQUOT: "free some disk space",
}


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


def reason_of(error: BaseException) -> str:
    """Why something failed, in one line of UTF-8 text, with the remedy of common errors of the operating system; errors
    that are not of the user's are named with their type."""
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        file = f"{error.filename}: " if error.filename else ""
        return printable(f"{file}{error.strerror}; {_REMEDIES[error.errno]}")
    if isinstance(error, (UserError, OSError)):
        return printable(str(error))
    return printable(" ".join(f"{type(error).__name__}: {error}".split()))


def printable(text: str) -> str:
    """The same text, in which names of files that are not UTF-8 are escaped, so that it can be written as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def nearest(path: Path) -> str:
    """For a path that does not exist, ``; did you mean x?`` with that of the nearest name in its folder, or
    ``; there is no folder x either``; empty where no name is near."""
    try:
        names = [other.name for other in path.parent.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return f"; there is no folder {path.parent} either"
    except OSError:  # it can't be read
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(near[0])}?" if near else ""


def suggestion(name: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` with the nearest known name; where none is near, ``; known: ...`` with all of them."""
    known = sorted(map(str, known))
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(known)}" if known else ""
