"""Shifts kernels over time where a checkpoint has another look-ahead, so that each weight keeps its distance from the
current frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from v2skit.config.load import check_component, to_tree
from v2skit.config.parts import model_name
from v2skit.config.schema import Config
from v2skit.config.upgrade import upgrade
from v2skit.data.targets import Targets
from v2skit.errors import UserError
from v2skit.models.checkpoint import Meta
from v2skit.models.layers.masked import TimeKernel
from v2skit.registry import direct
from v2skit.registry.build import build
from v2skit.registry.component import Component

KINDS = {name: name for name in ("visual_frontend", "audio_frontend", "encoder", "decoder")} | {"generator": "vocoder"}
"""Part with kernels over time -> its kind."""


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


def part_shifts(
    meta: Meta, model: nn.Module, config: Config, targets: Targets, part: str, their_part: str | None = None
) -> dict[str, Shift]:
    """The kernels of a part whose look-ahead in a checkpoint is another than in a model.

    None are found where the checkpoint's part can't be built here, such as one of a plug-in that has other arguments
    now: its weights are then copied as they are.

    Args:
        meta: description of the checkpoint.
        model: which its weights are for.
        config: of that model.
        targets: of that model, fitted.
        part: its name in the config of the model.
        their_part: its name in that of the checkpoint; None: the same.

    Returns:
        name of a tensor in the part -> its shift.
    """
    ours = _kernels(model, model_name(part))
    theirs = _stored_kernels(meta, config, targets, their_part or part) if ours else {}
    return {
        name: Shift(theirs[name].ahead, kernel.ahead, kernel.time_dim)
        for name, kernel in ours.items()
        if name in theirs and theirs[name].ahead != kernel.ahead
    }


def model_shifts(
    meta: Meta, model: nn.Module, config: Config, targets: Targets, parts: Iterable[str]
) -> dict[str, Shift]:
    """As :func:`part_shifts`, of several parts, by the names of tensors in the model."""
    return {
        f"{model_name(part)}.{name}": shift
        for part in parts
        for name, shift in part_shifts(meta, model, config, targets, part).items()
    }


def shifted(weights: Mapping[str, Tensor], shifts: Mapping[str, Shift]) -> dict[str, Tensor]:
    """All the weights, kernels as their shifts say."""
    return {name: shifts[name].apply(weight) if name in shifts else weight for name, weight in weights.items()}


def look_aheads(choice: Component, config: Config, targets: Targets) -> dict[str, int]:
    """The kernels over time of a component of a model, a key of KINDS: name of a tensor -> frames of right context.

    Args:
        choice: its type and arguments.
        config: of the model.
        targets: of the model, fitted.

    Raises:
        UserError: it can't be built.
    """
    return {name: kernel.ahead for name, kernel in _kernels(_built(choice, config, targets), "").items()}


def _stored_kernels(meta: Meta, config: Config, targets: Targets, part: str) -> dict[str, TimeKernel]:
    """Those of a part of a checkpoint; none where it is as in a config, or can't be built."""
    section, _, inner = part.partition(".")
    stored = upgrade(meta.config)
    tree = stored.get("vocoder") if section == "generator" else stored.get("networks", {}).get(section)
    if section not in KINDS or not isinstance(tree, dict):
        return {}
    ours = config.vocoder if section == "generator" else getattr(config.networks, section)
    if set(direct.paths(tree)) - set(direct.paths(to_tree(ours))):  # code that this config does not run
        return {}
    try:
        choice = check_component(KINDS[section], tree, "the checkpoint's config")
        return {} if choice == ours and not inner else _kernels(_built(choice, config, targets), inner)
    except UserError:
        return {}


def _built(choice: Component, config: Config, targets: Targets) -> nn.Module:
    """A part with random weights; its kernels over time do not depend on the width of its input."""
    step = config.mel.hop if choice.kind == "vocoder" else config.clock.samples_per_frame
    given = {"clock": config.clock, "mel": config.mel, "targets": targets.built}
    with torch.random.fork_rng(devices=[]):
        return build(choice.kind, choice, in_dim=config.mel.n_mels, step=step, **given)


def _kernels(module: nn.Module, path: str) -> dict[str, TimeKernel]:
    """Name of a kernel's tensor in a part of a module -> the kernel; none where there is no such part."""
    try:
        part = module.get_submodule(path)
    except AttributeError:
        return {}
    return {f"{name}.weight".lstrip("."): each for name, each in part.named_modules() if isinstance(each, TimeKernel)}
