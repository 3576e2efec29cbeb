"""What the command line asks of OpenMP and of the C library, before torch is imported."""

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


def set_up() -> None:
    """Set how threads wait and how memory is kept, where the user's environment does not say.

    Threads that wait sleep soon, so that they do not take the core from a busy neighbour. Freed memory is kept: a
    training step asks for the same large blocks again, which the system would fill with zeros each time, for up to a
    third of the step.
    """
    if not any(name in os.environ for name in WAITING):
        os.environ["GOMP_SPINCOUNT"] = SPINS
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc
    if mallopt and not any(name in os.environ for name in MALLOC):
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, LARGEST_INT)
