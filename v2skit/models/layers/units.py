"""Units in networks: the target that defines them, and their cross-entropy."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from v2skit.data.batch import PADDING
from v2skit.errors import UserError


def units_of(targets: dict[str, Any], stream: str) -> Any:
    """The target of a stream of units, with the attributes ``clusters`` and ``per_frame``.

    Raises:
        UserError: there is no target of this stream, or it has no units.
    """
    remedy = f"add targets: {{{stream}: {{type: units}}}} to the config"
    if stream not in targets:
        raise UserError(f"there is no target '{stream}', which defines the units; {remedy}", stream=stream)
    if not hasattr(targets[stream], "clusters") or not hasattr(targets[stream], "per_frame"):
        raise UserError(f"target '{stream}' has no units, but values of another kind; {remedy}", stream=stream)
    return targets[stream]


def masked_cross_entropy(logits: Tensor, units: Tensor, mask: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy over the valid steps, in float32; 0 where there are none.

    Raises:
        UserError: they are not logits and units.

    Args:
        logits: (B, T * k, K).
        units: (B, T * k), from 0 to K - 1, or PADDING.
        mask: (B, T), True for valid video frames.
        label_smoothing: share of the probability that is distributed over all K units (Szegedy et al. 2016).
    """
    if not logits.is_floating_point() or logits.ndim != 3 or units.is_floating_point() or units.ndim != 2:
        raise UserError(
            f"cross-entropy needs logits (B,L,K) of a head and whole numbers (B,L), not {logits.dtype} "
            f"{tuple(logits.shape)} and {units.dtype} {tuple(units.shape)}; choose a stream of units, or another loss"
        )
    valid = mask.repeat_interleave(logits.shape[1] // mask.shape[1], dim=1)
    units = units.long().masked_fill(~valid, PADDING).flatten()
    total = F.cross_entropy(
        logits.float().flatten(0, 1), units, ignore_index=PADDING, label_smoothing=label_smoothing, reduction="sum"
    )
    return total / (units != PADDING).sum().clamp(min=1)
