"""A loss that is computed with a frozen network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class FrozenNetwork(nn.Module):
    """Base of losses with a network that is not trained: in evaluation mode, and in neither the state_dict nor the
    parameters.

    Args:
        network: that ``frozen`` gives.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        # In a tuple it is no submodule, so that train(), state_dict() and parameters() leave it out.
        self._frozen = (network.eval().requires_grad_(False),)

    @property
    def frozen(self) -> Any:
        """The network, of any class."""
        return self._frozen[0]

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **options: Any) -> FrozenNetwork:
        self.frozen._apply(fn, *args, **options)  # moves with the loss to another device
        return super()._apply(fn, *args, **options)
