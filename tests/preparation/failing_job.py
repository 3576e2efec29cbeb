"""A job that can fail in several ways; it is importable without torch, which takes a process seconds to load."""

from __future__ import annotations

import os
import signal

from v2skit.errors import UserError


def failing(item: str) -> None:
    """Fails as ``item`` says: ``known``, ``unknown`` or ``killed``; not at all for others."""
    if item == "known":
        raise UserError("the disk is full")
    if item == "unknown":
        raise KeyError("what")
    if item == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
