"""Kernels over time of a model with another look-ahead: each of their weights keeps its distance from its frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from v2skit.models.build import build_model, build_new_vocoder, build_targets
from v2skit.models.checkpoint import Meta, config_of
from v2skit.models.layers.masked import TimeKernel


@dataclass(frozen=True)
class Shift:
    """How far a kernel is shifted.

    Args:
        theirs: frames of right context that it had.
        ours: frames of right context that it has now.
        dim: its dimension of time.
    """

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


def shifts(meta: Meta, model: nn.Module, part: str = "", their_part: str | None = None) -> dict[str, Shift]:
    """The kernels whose look-ahead in a checkpoint is another than in a model.

    Args:
        meta: description of the checkpoint.
        model: which its weights are for.
        part: of the model, as a path of modules; empty: all of it.
        their_part: of the checkpoint; None: the same.

    Returns:
        name of a tensor in the part -> its shift.

    Raises:
        UserError: the checkpoint's model can't be built here.
    """
    ours = _kernels(model, part)
    theirs = _kernels(_like(meta), part if their_part is None else their_part) if ours else {}
    return {
        f"{name}.weight": Shift(theirs[name].ahead, kernel.ahead, kernel.time_dim)
        for name, kernel in ours.items()
        if name in theirs and theirs[name].ahead != kernel.ahead
    }


def apply(shifts: Mapping[str, Shift], weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All the weights, those that are to be shifted shifted."""
    return {name: shifts[name].apply(weight) if name in shifts else weight for name, weight in weights.items()}


def _like(meta: Meta) -> nn.Module:
    """A model as that of a checkpoint, with other weights."""
    config = config_of(meta)
    targets = build_targets(config, meta.targets)
    with torch.random.fork_rng(devices=[]):
        if meta.task == "vocoder":
            return build_new_vocoder(config, targets)
        return build_model(config, meta.task, meta.speakers, targets)


def _kernels(model: nn.Module, part: str) -> dict[str, TimeKernel]:
    """By name; none where the model has no such part."""
    found = {name: module for name, module in model.named_modules() if isinstance(module, TimeKernel)}
    prefix = f"{part}." if part else ""
    return {name.removeprefix(prefix): kernel for name, kernel in found.items() if name.startswith(prefix)}
