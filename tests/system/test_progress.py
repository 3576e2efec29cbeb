"""Progress on a terminal and in a log file."""

from __future__ import annotations

import io
import sys

import pytest

from v2skit.system.progress import ProgressBar


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def drawn(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO, **options: object) -> str:
    """What a loop of three steps writes to standard error, and a line that is printed meanwhile."""
    monkeypatch.setattr(sys, "stderr", stderr)
    for step in ProgressBar(range(3), "scoring", unit="file", **options):
        if step == 1:
            ProgressBar.write("half-way", file=stderr)
    return stderr.getvalue()


def test_a_log_file_gets_few_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = drawn(monkeypatch, io.StringIO()).split("\n")
    assert [line.split("|")[0].rstrip() for line in lines] == ["scoring:   0%", "half-way", "scoring: 100%", ""]
    assert "3/3" in lines[2] and not any("\r" in line for line in lines)


def test_a_terminal_is_drawn_over(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(monkeypatch, Terminal())
    assert text.count("\r") >= 4 and text.endswith("\n") and text.count("\n") == 2


def test_bars_of_short_work_are_left_out_of_log_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn(monkeypatch, io.StringIO(), disable=None) == "half-way\n"
