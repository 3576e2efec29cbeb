"""The weighted mean of the weights of two models, one of which was fine-tuned from the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from v2skit.errors import UserError
from v2skit.models.checkpoint import Checkpoint
from v2skit.models.places import open_model
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
        UserError: the share is out of range, ``out`` has another ending, a model can't be read, or they have different
            networks.
    """
    if not 0 < share < 1:
        raise UserError(f"share {share:g} must be above 0 and below 1, e.g. 0.5")
    if out.suffix != SUFFIX:
        raise UserError(f"{out}: the name of a state dict ends in {SUFFIX}")
    remedy = "give an experiment, a run, a checkpoint or a pack"
    saved, before = (open_model(place, "model", remedy) for place in (model, other))
    ours, theirs = saved.inference_weights, before.inference_weights
    different = sorted(name for name in {*ours, *theirs} if _shape(ours.get(name)) != _shape(theirs.get(name)))
    different += [what for what, value in _settings(saved).items() if value != _settings(before)[what]]
    if different:
        raise UserError(f"{model} and {other} have different networks ({different[0]}); give models of one config")
    mean = {name: _mean(value, theirs[name], share).contiguous() for name, value in ours.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out) as part:
        save_file(mean, part)
    return f"{out}: {len(mean)} tensors, {share:g} of {model} and {1 - share:g} of {other}"


def _settings(saved: Checkpoint) -> dict[str, Any]:
    """What the weights depend on, by name; on the speakers only where they have rows of a table."""
    meta, count = saved.meta, len(saved.meta.speakers)
    tables = [value for name, value in saved.inference_weights.items() if name.startswith("speaker.")]
    scale = meta.config.get("networks", {}).get("speaker", {}).get("scale")
    found = {"mel and clock": meta.features, "targets": meta.targets, "networks.speaker.scale": scale}
    return {**found, "speakers": meta.speakers if any(t.ndim == 2 and len(t) == count for t in tables) else None}


def _shape(value: Tensor | None) -> tuple[int, ...] | None:
    return None if value is None else tuple(value.shape)


def _mean(ours: Tensor, theirs: Tensor, share: float) -> Tensor:
    """The mean of weights and statistics; of counters, ours."""
    return ours.float().lerp(theirs.float(), 1 - share) if ours.is_floating_point() else ours
