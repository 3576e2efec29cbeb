"""Kernels over time of a model with another look-ahead: each of their weights keeps its distance from its frame."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from v2skit.models.layers.masked import TimeKernel


@dataclass(frozen=True)
class Shift:
    """How far a kernel is shifted.

    Args:
        name: of the tensor.
        theirs: frames of right context that it had.
        ours: frames of right context that it has now.
        dim: its dimension of time.
    """

    name: str
    theirs: int
    ours: int
    dim: int

    def __str__(self) -> str:
        return f"look-ahead {self.theirs} -> {self.ours}"

    def apply(self, kernel: Tensor) -> Tensor:
        """The kernel with each weight at its former distance from the current frame; those that now lie beyond its
        ends are left out, those that are new are 0."""
        by, length = self.theirs - self.ours, kernel.shape[self.dim]
        kept = max(0, length - abs(by))
        shifted = torch.zeros_like(kernel)
        shifted.narrow(self.dim, length - kept if by > 0 else 0, kept).copy_(
            kernel.narrow(self.dim, 0 if by > 0 else length - kept, kept)
        )
        return shifted


def shifts(theirs: nn.Module, ours: nn.Module) -> list[Shift]:
    """The kernels that two parts of one kind share, where their look-ahead differs."""
    before = _kernels(theirs)
    return [
        Shift(f"{name}.weight", before[name].ahead, kernel.ahead, kernel.time_dim)
        for name, kernel in _kernels(ours).items()
        if name in before and before[name].ahead != kernel.ahead
    ]


def has_kernels(part: nn.Module) -> bool:
    """Whether a part has kernels whose look-ahead may differ."""
    return bool(_kernels(part))


def _kernels(part: nn.Module) -> dict[str, TimeKernel]:
    return {name: module for name, module in part.named_modules() if isinstance(module, TimeKernel)}
