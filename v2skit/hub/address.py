"""Addresses of packed models on a hub: ``hf://owner/name``, also with a revision and with the file of the pack."""

from __future__ import annotations

import re
from dataclasses import dataclass

from v2skit.errors import UserError

SUFFIX = ".v2s"
"""Of the files of packed models."""
SCHEME = "hf://"
FORM = f"{SCHEME}owner/name, {SCHEME}owner/name@revision or {SCHEME}owner/name/file{SUFFIX}"

_NAME = r"[\w-][\w.-]*"
_PART = r"[\w.-]+"
_ADDRESS = re.compile(
    rf"(?!.*\.\.){SCHEME}(?P<repo>{_NAME}/{_NAME})(@(?P<revision>refs/pr/\d+|{_PART}))?"
    rf"(/(?P<file>({_PART}/)*{_PART}{re.escape(SUFFIX)}))?",
    re.ASCII,
)
"""Addresses are quoted in the Python code and shell commands of cards and demos, and the file is a path in a folder."""


@dataclass(frozen=True)
class Address:
    """A packed model on a hub.

    Args:
        repo: repository, ``owner/name``.
        revision: branch, tag or commit; None: the main branch.
        file: path of the pack in the repository; None: the only one in it.

    Raises:
        UserError: one of these is malformed.
    """

    repo: str
    revision: str | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        found = _ADDRESS.fullmatch(str(self))
        if found is None or found.groupdict() != vars(self):
            raise _malformed(str(self))

    @classmethod
    def parse(cls, text: str) -> Address:
        """From its text form. Raises UserError where it has another form."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise _malformed(text)
        return cls(**found.groupdict())

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        file = f"/{self.file}" if self.file else ""
        return f"{SCHEME}{self.repo}{revision}{file}"


def _malformed(text: str) -> UserError:
    return UserError(
        f"{text} is no address of a packed model; give {FORM}, with letters, digits, -, _ and single dots in each part"
    )


def is_address(text: str) -> bool:
    """Whether a model is named by an address on a hub, well-formed or not, and not by a path."""
    return text.startswith(SCHEME)
