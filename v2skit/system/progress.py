"""The progress bar of all long work: a bar on a terminal, now and then a line in a log file."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from tqdm import tqdm

LOG_SECONDS = 30.0
"""Between two lines in a log file."""


class ProgressBar(tqdm):
    """tqdm with the settings of this package: at most one update a second on a terminal, and where standard error is a
    file or a pipe, lines that end in a line feed, at the start, every 30 s and at the end.

    Arguments are those of tqdm, but not ``file``.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        if not sys.stderr.isatty():
            if options.get("disable", False) is None:
                options["disable"] = True
            options.update(file=_Lines(sys.stderr), ascii=True, mininterval=LOG_SECONDS, maxinterval=LOG_SECONDS)
        super().__init__(*arguments, **{"mininterval": 1.0, "dynamic_ncols": True, **options})


class _Lines:
    """Writes what tqdm draws over, with carriage returns and padding, as lines."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._last = file, ""

    def write(self, text: str) -> int:
        line = text.strip()
        if line and line != self._last:
            self._file.write(f"{line}\n")
            self._last = line
        return len(text)

    def flush(self) -> None:
        self._file.flush()

    def isatty(self) -> bool:
        return False
