"""Ranges of numbers: of settings, and as type hints of components' arguments.

A constructor that says ``dropout: Dropout = 0.1`` has it checked where a config is read, before any work.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from v2skit.errors import UserError

Width = Annotated[int, Field(ge=1, le=65_536)]
"""Channels, features, units: a dimension of weights."""
AutoWidth = Annotated[int, Field(ge=0, le=65_536)]
"""The same, with 0 for one that follows from other arguments."""
Depth = Annotated[int, Field(ge=1, le=1000)]
"""Layers, blocks, heads: a number of parts."""
Kernel = Annotated[int, Field(ge=1, le=10_001)]
"""The length of a convolution's kernel, its stride or dilation."""
Context = Annotated[int, Field(ge=0, le=1_000_000)]
"""Left context or look-ahead, video frames."""
Rounds = Annotated[int, Field(ge=0, le=10_000)]
"""Iterations of an algorithm that synthesises."""
Momentum = Annotated[float, Field(ge=0, le=2)]
"""Of an iterative algorithm; with larger ones it diverges."""
Share = Annotated[float, Field(gt=0, le=1)]
"""A part of a whole, not nothing."""
Dropout = Annotated[float, Field(ge=0, lt=1)]
"""A probability of dropout; with 1 nothing would be left."""


def check_range(settings: Any, **limits: tuple[float, float]) -> None:
    """Raises UserError where a number of the settings is outside its limits, or is NaN.

    (An error of pydantic names only the limit that is crossed.)

    Args:
        settings: has the numbers as attributes; None is within any limits.
        limits: name -> smallest and largest value.
    """
    for key, (low, high) in limits.items():
        value = getattr(settings, key)
        if value is not None and not low <= value <= high:
            raise UserError(f"{key} must lie in {low:g}..{high:g}, not {value}", key=key)
