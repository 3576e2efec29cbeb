"""AdamW with warm-up and cosine, per-part factors, and the moving average of the weights."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from v2skit.config.parts import PartTransfer
from v2skit.config.schema import Training
from v2skit.errors import UserError
from v2skit.models.model import Model, Vocoder

NOT_DECAYED = (nn.Embedding, nn.EmbeddingBag, nn.LayerNorm, nn.RMSNorm)
"""Modules without weight decay: tables, whose rows would shrink in all batches and be trained in few; and norms whose
gains may have several dimensions."""


def schedule(step: int, settings: Training) -> float:
    """Factor on the learning rate: linear warm-up over ``warmup_share`` of the steps, then a cosine to zero."""
    warmup = max(1, round(settings.warmup_share * settings.steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, settings.steps - warmup)))


class Optimiser:
    """AdamW over the parts of a model.

    Args:
        model: its children are the parts; those of a ``ModuleDict`` are parts too, and those that ``parts`` names.
        settings: of the run.
        parts: by the names of the model's parts: when they are frozen, and factors of their learning rates.

    Raises:
        UserError: a part does not exist, can't be frozen, or all are frozen; or two weights are one parameter.
    """

    def __init__(self, model: nn.Module, settings: Training, parts: Mapping[str, PartTransfer]) -> None:
        _check_own_weights(model)
        self.settings, self.model = settings, model
        self.modules = _parts(model, parts)
        for name in parts.keys() - self.modules.keys() - {name.partition(".")[0] for name in self.modules}:
            raise UserError(f"parts: this model has no part {name}; leave it out", part=name)
        self.parts = {n: parts.get(n, parts.get(n.partition(".")[0], PartTransfer())) for n in self.modules}
        self.trainable = {n: [p for p in part.parameters() if p.requires_grad] for n, part in self.modules.items()}
        if all(self.parts[name].is_frozen(0) for name, parameters in self.trainable.items() if parameters):
            raise UserError("parts: all parts of this model are frozen at the start; train at least one")
        for name, part in self.parts.items():
            if part.frozen == "all":
                _check_can_evaluate(self.modules[name], name)
        groups = []
        for name, parameters in self.trainable.items():
            decayed = {id(p) for p in decayed_parameters(self.modules[name])}
            for decays in (True, False):
                chosen = [p for p in parameters if (id(p) in decayed) == decays]
                if chosen:
                    decay = settings.weight_decay if decays else 0.0
                    groups.append({"params": chosen, "weight_decay": decay, "part": name})
        first, second = settings.betas
        self.adamw = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(first, second), fused=True)

    def start(self, step: int) -> None:
        """Set learning rates and frozen parts for a step, and clear the gradients; the model is in training mode."""
        rate = self.learning_rate(step)
        for group in self.adamw.param_groups:
            group["lr"] = rate * self.parts[group["part"]].learning_rate_factor
        for name, parameters in self.trainable.items():
            frozen = self.parts[name].is_frozen(step)
            for parameter in parameters:
                parameter.requires_grad_(not frozen)
            if frozen and self.parts[name].frozen == "all":
                _evaluate(self.modules[name])
        self.adamw.zero_grad(set_to_none=True)

    def learning_rate(self, step: int) -> float:
        """The learning rate of a step, before the factors of parts."""
        return self.settings.learning_rate * schedule(step, self.settings)

    def finish(self) -> Tensor:
        """Clip the gradients and step. Returns their norm before clipping, a scalar on the device."""
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.adamw.step()
        return norm


def decayed_parameters(part: nn.Module) -> list[nn.Parameter]:
    """The parameters that weight decay applies to: matrices and convolution kernels.

    Not biases, of any shape, which have ``bias`` in their names; not gains, which have one value for each output
    channel, (C,), or (C,1,1) in weight norm; and nothing of the modules in :data:`NOT_DECAYED`.
    """
    return [
        parameter
        for module in part.modules()
        if not isinstance(module, NOT_DECAYED)
        for name, parameter in module.named_parameters(recurse=False)
        if "bias" not in name and parameter.ndim > 0 and parameter.numel() > parameter.shape[0]
    ]


def _parts(model: nn.Module, wanted: Iterable[str]) -> dict[str, nn.Module]:
    """The parts of a model by name: its children; instead of a ``ModuleDict``, and of one in which a part is wanted,
    its children as ``NAME.CHILD``. Raises UserError where such a child has weights outside of these."""
    parts: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        children = {f"{name}.{entry}": part for entry, part in child.named_children()}
        divided = children.keys() & set(wanted)
        if divided and any(True for _ in child.parameters(recurse=False)):
            remedy = f"give the settings to {name} as a whole"
            raise UserError(f"parts: {min(divided)} can't be trained in its own way; {remedy}", part=min(divided))
        parts |= children if divided or isinstance(child, nn.ModuleDict) else {name: child}
    return parts


def _evaluate(part: nn.Module) -> None:
    """Set the evaluation mode, except for recurrent networks: cuDNN has no backward pass for it, and without dropout
    both modes are the same."""
    part.eval()
    for module in part.modules():
        if isinstance(module, nn.RNNBase):
            module.train()


def _check_can_evaluate(part: nn.Module, name: str) -> None:
    """Raises UserError where a part has recurrent networks with dropout, see :func:`_evaluate`."""
    if any(isinstance(module, nn.RNNBase) and module.dropout for module in part.modules()):
        message = f"parts: {name} is a recurrent network with dropout, which can't be frozen with all"
        raise UserError(f"{message}; set its dropout to 0, or frozen: weights", part=name)


def _check_own_weights(model: nn.Module) -> None:
    """Raises UserError where a parameter has two names: checkpoints, averages and transfer have one weight a name."""
    names: dict[int, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        if names.setdefault(id(parameter), name) != name:
            raise UserError(
                f"the weights {names[id(parameter)]} and {name} are one parameter, which can't be saved; register it "
                "once, and use it in both places with torch.nn.functional"
            )


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
    """Raises ValueError where a loaded state does not have the shapes of the parameters, or is not finite, neither of
    which torch checks."""
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            found = {k: getattr(v, "shape", None) for k, v in optimiser.state.get(parameter, {}).items()}
            wanted = {"step": torch.Size(), "exp_avg": parameter.shape, "exp_avg_sq": parameter.shape}
            if found and found != wanted:
                raise ValueError(f"moments of shapes {found} for a parameter of shape {tuple(parameter.shape)}")
            if not all(value.isfinite().all() for value in optimiser.state.get(parameter, {}).values()):
                raise ValueError("it has moments that are not finite")


class Average:
    """Exponential moving average of weights and batch statistics.

    After n steps its decay is at most (1 + n) / (10 + n), a memory of about n / 9 steps: one decay serves runs of any
    length, and the initial weights are forgotten.

    Not ``torch.optim.swa_utils.AveragedModel``: that one starts from the weights after the first step, not before it,
    and averages constants too, where the -inf of an attention mask would become NaN.

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
        self._parameters = dict(self.model.named_parameters()).keys()

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model's weights after ``step`` steps."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            ours = self.state[name]
            if name in self._parameters:
                ours.lerp_(value, 1 - decay)
            elif value.is_floating_point():  # a buffer, where what does not change may be -inf
                ours.copy_(torch.where(ours == value, value, ours.lerp(value, 1 - decay)))
            else:
                ours.copy_(value)


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
