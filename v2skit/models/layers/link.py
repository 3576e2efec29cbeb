"""A layer of a network that is computed by itself in live synthesis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Link:
    """A layer, and what it depends on.

    One after the other, the links of a network give what its ``forward`` gives. A frontend with links has the video as
    its only input; those of an encoder are used offline and in exports as well, and have a rate of 1; the first link of
    a decoder has the rate of the decoder, the others 1.

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
