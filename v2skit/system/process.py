"""Settings of a process: OpenMP, before torch is imported; the C library's memory allocation; when a worker ends."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait

SPINS = "500"
"""How often a waiting OpenMP thread polls before it sleeps (``tools/benchmark_waiting.py``)."""

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
MALLOC = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of mallopt(3)."""
LARGEST_INT = 2**31 - 1


def sleep_soon() -> None:
    """Let waiting OpenMP threads sleep soon, so that busy-waiting does not take processor time from others.

    Has an effect only before torch is imported, and none where the environment has one of WAITING.
    """
    if not any(name in os.environ for name in WAITING):
        os.environ["GOMP_SPINCOUNT"] = SPINS


def keep_memory() -> None:
    """Keep freed memory for the next training step, which allocates blocks of the same sizes.

    Otherwise the kernel clears them again, which takes up to a quarter of a step. Has no effect where the C library
    has no mallopt(3), which is glibc's, or where the environment has one of MALLOC.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt and not any(name in os.environ for name in MALLOC):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, LARGEST_INT)


def end_with_parent() -> None:
    """Let this worker process end when the process that started it has ended, in whatever way, or ends it; an interrupt
    from the keyboard is left to that process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        wait([parent.sentinel])
    os._exit(1)
