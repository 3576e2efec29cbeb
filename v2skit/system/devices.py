"""The device of the networks, and the number of processor cores."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from v2skit.errors import UserError

if TYPE_CHECKING:
    import torch


def choose_device(name: str) -> torch.device:
    """The device with the name ``cpu``, ``cuda``, ..., or ``auto``: cuda if available, otherwise cpu.

    Raises:
        UserError: the device is not available.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name} can't be used here: {str(error).splitlines()[0]}", device=name) from error


def cores() -> int:
    """Processor cores available to this process; under Slurm and in containers fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
