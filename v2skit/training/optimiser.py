"""AdamW with warm-up and cosine, per-part factors, and the moving average of the weights."""

from __future__ import annotations

import copy
import math
import os
from typing import Any

import torch
from torch import Tensor, nn

from v2skit.config.schema import PartTransfer, Training
from v2skit.errors import UserError
from v2skit.models.model import Model, Vocoder


def schedule(step: int, settings: Training) -> float:
    """Factor on the learning rate: linear warm-up over ``warmup_share`` of the steps, then a cosine to zero."""
    warmup = max(1, round(settings.warmup_share * settings.steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, settings.steps - warmup)))


class Optimiser:
    """AdamW over the parts of a model.

    Args:
        model: its children are the parts.
        settings: of the run.
        parts: frozen steps and learning-rate factors of transferred parts.
    """

    def __init__(self, model: nn.Module, settings: Training, parts: dict[str, PartTransfer]) -> None:
        self.settings, self.model = settings, model
        self.parts = {name: parts.get(name, PartTransfer()) for name, _ in model.named_children()}
        self.trainable = {n: [p for p in part.parameters() if p.requires_grad] for n, part in model.named_children()}
        groups = []
        for name in self.trainable:
            for decays in (True, False):
                # No decay for biases and gains of norms, (C,), and gains of weight norm, (C,1,1).
                parameters = [p for p in self.trainable[name] if (p.ndim > 0 and p.numel() > p.shape[0]) == decays]
                if parameters:
                    decay = settings.weight_decay if decays else 0.0
                    groups.append({"params": parameters, "weight_decay": decay, "part": name})
        first, second = settings.betas
        self.adamw = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(first, second), fused=True)

    def start(self, step: int) -> None:
        """Set learning rates and frozen parts for a step, and clear the gradients."""
        rate = self.settings.learning_rate * schedule(step, self.settings)
        for group in self.adamw.param_groups:
            group["lr"] = rate * self.parts[group["part"]].learning_rate_factor
        for name, parameters in self.trainable.items():
            for parameter in parameters:
                parameter.requires_grad_(step >= self.parts[name].frozen_steps)
        self.adamw.zero_grad(set_to_none=True)

    def finish(self) -> Tensor:
        """Clip the gradients and step. Returns their norm before clipping, a scalar on the device."""
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.adamw.step()
        return norm


def load_adamw(optimiser: torch.optim.AdamW, state: dict[str, Any]) -> None:
    """Load the moments of a saved state; the settings stay those of the config.

    Raises:
        ValueError: it is that of other parameters; KeyError, TypeError, AttributeError: it is no state.
    """
    settings = [{k: v for k, v in group.items() if k != "params"} for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, ours in zip(optimiser.param_groups, settings, strict=True):
        group.update(ours)
    check_adamw(optimiser)


def check_adamw(optimiser: torch.optim.AdamW) -> None:
    """Raises ValueError where a loaded state does not have the shapes of the parameters, which torch does not check."""
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            found = {k: getattr(v, "shape", None) for k, v in optimiser.state.get(parameter, {}).items()}
            wanted = {"step": torch.Size(), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
            if found and found != wanted:
                raise ValueError(f"moments of shapes {found} for a parameter of shape {tuple(parameter.shape)}")


class Average:
    """Exponential moving average of weights and batch statistics; at the start it has a shorter memory.

    Not ``torch.optim.swa_utils.AveragedModel``: that one starts from the weights after the first step, not before it,
    and averages constant buffers too, where the -inf of an attention mask would become NaN.

    Args:
        model: with its initial weights.
        decay: of the average, per step.

    Attributes:
        model: a copy with the averaged weights, in evaluation mode.
        state: its ``state_dict()``.
    """

    def __init__(self, model: Model | Vocoder, decay: float) -> None:
        self.decay, self.model = decay, copy.deepcopy(model).eval()
        self.state = self.model.state_dict()

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model's weights after ``step`` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


def precision_of(settings: Training, device: torch.device) -> torch.dtype | None:
    """The autocast type, None for full precision.

    Raises:
        UserError: bfloat16 is set on a device without it.
    """
    able = torch.cuda.is_bf16_supported() if device.type == "cuda" else cpu_has_bfloat16()
    if settings.precision == "bfloat16" and not able:
        raise UserError(f"precision: this {device.type} has no bfloat16 arithmetic; set precision to float32")
    return torch.bfloat16 if settings.precision != "float32" and able else None


def cpu_has_bfloat16() -> bool:
    """Whether the CPU has the instructions and oneDNN may use them; else bfloat16 is many times slower than float32."""
    allowed = os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "DEFAULT"
    if not any(word in allowed.upper() for word in ("DEFAULT", "ALL", "BF16", "FP16", "AMX", "AVX10")):
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # torch 2.8 has no public function for it
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_tile"))
