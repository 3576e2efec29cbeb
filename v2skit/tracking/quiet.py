"""Suppression of the messages that native libraries log to standard error, whatever their settings."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCK = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Discard what the process writes to standard error, native code included; one thread at a time.

    :func:`contextlib.redirect_stderr` replaces only Python's ``sys.stderr``.
    """
    with _LOCK:
        sys.stderr.flush()
        saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            os.close(null)
