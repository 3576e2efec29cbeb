"""A layer of a network that is computed by itself in live synthesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Link:
    """A layer, and what it depends on.

    Args:
        function: (B, L, ...), mask (B, L) -> (B, L * rate, ...).
        left_context: earlier input steps that an output step depends on.
        right_context: likewise, later input steps.
        rate: output steps per input step.
        align: its input starts at a multiple of this many steps.
    """

    function: Callable[[Tensor, Tensor], Tensor]
    left_context: int = 0
    right_context: int = 0
    rate: int = 1
    align: int = 1
