"""``log.jsonl``: one line of JSON for each logged step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from v2skit.system.atomic import write_text
from v2skit.system.text_file import read_lines

NAME = "log.jsonl"


class JsonLines:
    """Writes ``log.jsonl``. On resuming, lines of steps that will be repeated are removed."""

    def start(self, run: Path, name: str, step: int, config: dict[str, Any]) -> None:
        """See :class:`v2skit.training.loggers.logger.Logger`."""
        path = run / NAME
        write_text(path, "".join(line for line, number in _lines(path) if number <= step))
        self._file = path.open("a", encoding="utf-8")

    def log(self, step: int, kind: str, values: dict[str, float]) -> None:
        """Write one line, ``{"step": ..., "kind": ..., NAME: VALUE, ...}``."""
        self._file.write(json.dumps({"step": step, "kind": kind, **values}) + "\n")
        self._file.flush()

    def close(self, status: str) -> None:
        """Close the file."""
        self._file.close()


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """The complete lines of a log, each with its step; a damaged one, such as one truncated by a kill, is left out."""
    if not path.exists():
        return
    for line in read_lines(path, errors="replace"):
        number = _step(line) if line.endswith("}\n") else None
        if number is not None:
            yield line, number


def _step(line: str) -> int | None:
    """The step of a line of a log, None where the line is damaged."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
