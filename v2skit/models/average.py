"""The weighted mean of the weights of two models, one of which was fine-tuned from the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from v2skit.config.load import flatten
from v2skit.config.parts import PARTS
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_targets
from v2skit.models.checkpoint import Checkpoint
from v2skit.models.look_ahead import look_aheads
from v2skit.models.places import open_model
from v2skit.registry import plugins
from v2skit.registry.component import Component
from v2skit.system.atomic import atomic_write

SUFFIX = ".safetensors"


def write_average(model: str | Path, other: str | Path, share: float, out: Path) -> str:
    """Write the mean of the weights of two models of the same networks as a state dict, which ``init`` of a part reads.

    Between a model and the one it was fine-tuned from, on data that are similar, the mean is often better than both on
    clips unlike those of the fine-tuning (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").

    Args:
        model: an experiment, run, checkpoint or pack, by what names it, trained further from ``other``.
        other: likewise.
        share: of ``model`` in the mean, above 0 and below 1.
        out: the file, ending in ``.safetensors``.

    Returns:
        one line for the user: what is in it.

    Raises:
        UserError: the share is out of range, ``out`` has another ending, a model can't be read or runs code that is not
            trusted, or they have different networks: tensors of other names or shapes, or settings with which the same
            weights compute something else, such as another look-ahead.
    """
    if not 0 < share < 1:
        raise UserError(f"share {share:g} must be above 0 and below 1, e.g. 0.5")
    if out.suffix != SUFFIX:
        raise UserError(f"{out}: the name of a state dict ends in {SUFFIX}")
    remedy = "give an experiment, a run, a checkpoint or a pack"
    saved, before = (open_model(place, "model", remedy) for place in (model, other))
    settings, others = _settings(saved), _settings(before)
    different = [key for key in {**settings, **others} if settings.get(key) != others.get(key)]
    ours, theirs = saved.inference_weights, before.inference_weights
    different += sorted(name for name in {*ours, *theirs} if _shape(ours.get(name)) != _shape(theirs.get(name)))
    if different:
        raise UserError(f"{model} and {other} have different networks ({different[0]}); give models of one config")
    mean = {name: _mean(value, theirs[name], share).contiguous() for name, value in ours.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as part:
        save_file(mean, part)
    return f"{out}: {len(mean)} tensors, {share:g} of {model} and {1 - share:g} of {other}"


def _settings(saved: Checkpoint) -> dict[str, Any]:
    """What the weights depend on, by key of the config or name; on the speakers only where they have rows of a
    table."""
    meta, count = saved.meta, len(saved.meta.speakers)
    config = checkpoint.config_of(meta)
    if meta.task == "vocoder":
        found = flatten({"vocoder": _effective(config.vocoder)})
    else:
        keys = (*PARTS[meta.task], "decoder_speaker", "bn")
        found = flatten({"networks": {key: _effective(getattr(config.networks, key)) for key in keys}})
        decoder = config.networks.decoder
        if getattr(plugins.class_of("decoder", decoder), "inference_arguments", ()):  # they may divide its look-ahead
            targets = build_targets(config, meta.targets)
            found["look-ahead of networks.decoder"] = look_aheads(decoder, config, targets)
    tables = [value for name, value in saved.inference_weights.items() if name.startswith("speaker.")]
    found |= {"mel and clock": meta.features, "targets": meta.targets}
    return {**found, "speakers": meta.speakers if any(t.ndim == 2 and len(t) == count for t in tables) else None}


def _effective(value: Any) -> Any:
    """A part of a config as a plain tree, without the arguments of components that do not change what trained weights
    compute, or only in synthesis."""
    if isinstance(value, Component):
        made = plugins.class_of(value.kind, value)
        without = {*getattr(made, "training_arguments", ()), *getattr(made, "inference_arguments", ())}
        kept = {name: argument for name, argument in value.args.items() if name not in without}
        return {"type": value.type, **value.own, **_effective(kept)}
    if isinstance(value, dict):
        return {key: _effective(entry) for key, entry in value.items()}
    return [_effective(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _shape(value: Tensor | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value.shape)


def _mean(ours: Tensor, theirs: Tensor, share: float) -> Tensor:
    """The mean of weights and statistics; of counters, ours."""
    return ours.float().lerp(theirs.float(), 1 - share) if ours.is_floating_point() else ours
