"""A hang is a failed test: each hostile case has a time limit."""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

CASE_SECONDS = 120.0
"""Most cases take less than a second; this is for machines under load."""

GRACE_SECONDS = 30.0
"""What runs in C and does not return to Python by then ends the process, with the stack of every thread."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Fail the test that runs in the block after so many seconds."""

    def fail(*_: object) -> None:
        pytest.fail(f"it took more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(seconds + GRACE_SECONDS, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
