"""How a packed model stores weights in fewer bits, and how they become float32 again.

An int8 matrix has one float32 scale per row, the first dimension: a row's largest magnitude is 127 steps.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from v2skit.errors import UserError

Precision = Literal["float32", "float16", "int8"]
STEPS = 127
MIN_ELEMENTS = 4096
"""Smaller matrices are stored as float16: they gain little from int8."""
SCALE = "..scale"
"""Ends the name of a matrix's scales. No parameter of a module has such a name: none of its parts is empty."""


def stored(tensors: dict[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """Weights as they are packed. Vectors (biases, statistics) are small and stay as they are, as does what the
    precision can't represent.

    Raises:
        UserError: a tensor's name is that of another one's scales, as only a plug-in's own ``state_dict`` can have it.
    """
    if clashes := [name for name in tensors if name + SCALE in tensors]:
        name = clashes[0]
        raise UserError(f"the weights '{name}' and '{name}{SCALE}' can't be in one pack; rename the latter")
    if precision == "float32":
        return tensors
    found = {}
    for name, value in tensors.items():
        found[name] = value
        if value.dtype != torch.float32 or value.ndim < 2 or not value.isfinite().all():
            continue
        if precision == "int8" and value.numel() >= MIN_ELEMENTS:
            found[name], found[name + SCALE] = _quantised(value)
        elif (half := value.half()).isfinite().all():
            found[name] = half
    return found


def restored(tensors: dict[str, Tensor], int8: bool) -> dict[str, Tensor]:
    """The float32 weights of a part of a pack.

    Args:
        tensors: as they are stored.
        int8: whether there may be scales; the packs of earlier formats have none.
    """
    scales = {name + SCALE for name, value in tensors.items() if int8 and _fits(value, tensors.get(name + SCALE))}
    found = {}
    for name, value in tensors.items():
        if name + SCALE in scales:
            found[name] = value * _column(tensors[name + SCALE], value.ndim)
        elif name not in scales:
            found[name] = value.float() if value.dtype == torch.float16 else value
    return found


def _quantised(value: Tensor) -> tuple[Tensor, Tensor]:
    """A matrix (R, ...) as int8 of the same shape, and its scales (R,)."""
    scale = value.flatten(1).abs().amax(1) / STEPS
    scale = torch.where(scale > 0, scale, 1)
    steps = (value / _column(scale, value.ndim)).round().clamp(-STEPS, STEPS)  # subnormal scales are inexact
    return steps.to(torch.int8), scale


def _column(scale: Tensor, ndim: int) -> Tensor:
    """Scales (R,) -> (R, 1, ...)."""
    return scale.reshape(-1, *[1] * (ndim - 1))


def _fits(value: Tensor, scale: Tensor | None) -> bool:
    """Whether these are an int8 matrix and its scales. Others are left as they are, and loading them fails."""
    is_matrix = value.dtype == torch.int8 and value.ndim > 1
    return scale is not None and is_matrix and scale.dtype == torch.float32 and scale.shape == value.shape[:1]
