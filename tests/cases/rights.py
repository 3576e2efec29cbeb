"""The permissions of files hold for root too."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2
"""Capabilities: to write, and to read, whatever the permissions say."""

Data = ctypes.c_uint32 * 6
"""Effective, permitted and inheritable capabilities, of two times 32."""


@contextmanager
def only_permitted() -> Iterator[None]:
    """What this thread does, and threads that it starts; root is not above the permissions of its files. Skips the test
    where that can't be set."""
    if os.geteuid() != 0:
        yield
        return
    libc, header, before = ctypes.CDLL(None, use_errno=True), (ctypes.c_uint32 * 2)(VERSION, 0), Data()
    reduced = Data()
    if not hasattr(libc, "capget") or libc.capget(header, before) != 0:
        pytest.skip("root may read and write everything, and its capabilities can't be read here")
    reduced[:] = before
    reduced[0] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    if libc.capset(header, reduced) != 0:
        pytest.skip("root may read and write everything, and its capabilities can't be reduced here")
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0
