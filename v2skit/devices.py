"""Where networks run."""

from __future__ import annotations

import torch

from v2skit.errors import UserError


def choose_device(name: str) -> torch.device:
    """``cpu``, ``cuda``, or ``auto``: cuda where there is one. Raises UserError where it can't be used here."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name} can't be used here: {str(error).splitlines()[0]}") from error
