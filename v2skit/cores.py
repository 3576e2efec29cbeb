"""How many cores there are to use."""

import os


def cores() -> int:
    """Processor cores that this process may use: Slurm and containers may have given it fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
