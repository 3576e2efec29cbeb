"""Batch normalisation with running statistics of its own for each modality (Kefalas et al. 2024)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.errors import UserError

MODALITIES = ("audio", "video")
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class DualBatchNorm(nn.Module):
    """Batch normalisation over (N, C), (N, C, L) or (N, C, H, W): one affine map, running statistics by modality.

    A transferred part receives audio and video features with different statistics. Weights are shared, so that they
    are transferred; means and variances are not, so that neither modality is normalised with the other's.

    Args:
        channels: C.
        eps: added to the variance.
        momentum: of the running statistics.
        affine: with weight and bias.
    """

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = True) -> None:
        super().__init__()
        self.eps, self.momentum, self.modality = eps, momentum, "audio"
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None
        for modality in MODALITIES:
            self.register_buffer(f"{modality}_mean", torch.zeros(channels))
            self.register_buffer(f"{modality}_var", torch.ones(channels))

    @torch.no_grad()
    def adopt(self) -> dict[str, str]:
        """Without statistics of the current modality, which are those at the start, copy those of the other one, if it
        has any. Returns the names of the buffers that were set -> those of their sources."""
        other = next(modality for modality in MODALITIES if modality != self.modality)
        if not self._is_untouched(self.modality) or self._is_untouched(other):
            return {}
        names = {f"{self.modality}_{name}": f"{other}_{name}" for name in ("mean", "var")}
        for ours, theirs in names.items():
            getattr(self, ours).copy_(getattr(self, theirs))
        return names

    def _is_untouched(self, modality: str) -> bool:
        """Whether the statistics of a modality are those at the start."""
        mean, var = getattr(self, f"{modality}_mean"), getattr(self, f"{modality}_var")
        return bool((mean == 0).all() and (var == 1).all())

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B,C,...) with the statistics of the current modality."""
        mean, var = (getattr(self, f"{self.modality}_{name}") for name in ("mean", "var"))
        return F.batch_norm(x, mean, var, self.weight, self.bias, self.training, self.momentum, self.eps)


def with_dual_norm(module: nn.Module) -> nn.Module:
    """Replace every batch normalisation in a module, itself included, by a dual one with the same affine map."""
    if isinstance(module, BATCH_NORMS) and module.track_running_stats:
        if module.momentum is None:
            raise UserError("bn: dual needs batch normalisation with a momentum; set one in the component")
        dual = DualBatchNorm(module.num_features, module.eps, module.momentum, module.affine)
        if module.affine:
            dual.weight, dual.bias = module.weight, module.bias
        return dual
    for name, child in module.named_children():
        setattr(module, name, with_dual_norm(child))
    return module


def set_modality(module: nn.Module, modality: str) -> None:
    """Make every dual normalisation in a module use the statistics of ``audio`` or ``video``."""
    for part in module.modules():
        if isinstance(part, DualBatchNorm):
            part.modality = modality
