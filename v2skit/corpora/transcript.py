"""Reading of transcripts and tables as corpora distribute them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from v2skit.system.text_file import read_lines
from v2skit.text.normalise import capitals


def words(text: str) -> str | None:
    """Words in upper case, without punctuation, of any script; None where there are none."""
    return capitals(text) or None


def table(path: Path, separator: str = "\t") -> Iterator[list[str]]:
    """The fields of each line of a table without quotes; nothing where there is no such file."""
    if path.is_file():
        for line in read_lines(path):
            yield line.rstrip("\r\n").split(separator)
