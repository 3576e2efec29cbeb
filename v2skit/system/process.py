"""Settings of OpenMP, made before torch is imported, and of the C library's memory allocation."""

from __future__ import annotations

import ctypes
import os

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
