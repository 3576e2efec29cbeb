"""What v2skit asks of OpenMP, before torch is imported, and of the C library."""

from __future__ import annotations

import ctypes
import os

SPINS = "500"
"""How often a waiting OpenMP thread looks before it sleeps (``tools/benchmark_waiting.py``)."""

WAITING = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
MALLOC = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of mallopt(3)."""
LARGEST_INT = 2**31 - 1


def sleep_soon() -> None:
    """Let waiting threads sleep soon, so that they do not take the core from a busy neighbour.

    Has an effect before torch is imported, and none where the user's environment says how threads wait.
    """
    if not any(name in os.environ for name in WAITING):
        os.environ["GOMP_SPINCOUNT"] = SPINS


def keep_memory() -> None:
    """Keep freed memory for the next training step, which asks for the same large blocks again.

    The system would fill them with zeros each time, which takes up to a quarter of a step. Does nothing where the C
    library has no mallopt(3) (it is glibc's), or where the user's environment says how memory is kept.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt and not any(name in os.environ for name in MALLOC):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, LARGEST_INT)
