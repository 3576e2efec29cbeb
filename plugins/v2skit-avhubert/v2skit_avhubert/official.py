"""The authors' checkpoints, written by fairseq: settings, and the place of every tensor in the visual frontend."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from v2skit.config.features import Clock
from v2skit.errors import UserError
from v2skit.models.foreign import MAX_LEVELS, read_foreign, unwrapped
from v2skit_avhubert.frontend import SIZES, AvHubert

SETTINGS = {
    "encoder_embed_dim": ("dim", 768),
    "encoder_layers": ("layers", 12),
    "encoder_attention_heads": ("heads", 12),
    "encoder_ffn_embed_dim": ("ff_dim", 3072),
    "layer_norm_first": ("norm_first", False),
    "conv_pos": ("position_kernel", 128),
    "conv_pos_groups": ("position_groups", 16),
}
"""Setting of the checkpoint -> argument of the frontend, and its value where the checkpoint does not have it."""

REQUIRED = {"activation_fn": "gelu", "resnet_relu_type": "prelu", "modality_fuse": "concat", "sub_encoder_layers": 0}
"""Setting of the checkpoint -> its default, and the only value that the frontend has."""

VIDEO = "feature_extractor_video."
RULES = [
    (VIDEO + r"resnet\.frontend3D\.(\d)\.(\w+)", r"trunk.stem.\1.\2"),
    (VIDEO + r"resnet\.trunk\.layer(\d)\.(\d)\.conv(\d)\.weight", r"trunk.stages.\1/\2.conv\3.weight"),
    (VIDEO + r"resnet\.trunk\.layer(\d)\.(\d)\.bn(\d)\.(\w+)", r"trunk.stages.\1/\2.norm\3.\4"),
    (VIDEO + r"resnet\.trunk\.layer(\d)\.(\d)\.relu(\d)\.weight", r"trunk.stages.\1/\2.activation\3.weight"),
    (VIDEO + r"resnet\.trunk\.layer(\d)\.(\d)\.downsample\.(\d)\.(\w+)", r"trunk.stages.\1/\2.shortcut.\3.\4"),
    (VIDEO + r"proj\.(\w+)", r"project.\1"),
    (r"layer_norm\.(\w+)", r"fusion_norm.\1"),
    (r"post_extract_proj\.(\w+)", r"fusion.\1"),
    (r"encoder\.pos_conv\.0\.bias", "positions.bias"),
    (r"encoder\.pos_conv\.0\.weight_[gv]", "positions.weight"),
    (r"encoder\.layer_norm\.(\w+)", r"norm.\1"),
    (r"encoder\.layers\.(\d+)\.self_attn\.[qkv]_proj\.(\w+)", r"layers.\1.self_attn.in_proj_\2"),
    (r"encoder\.layers\.(\d+)\.self_attn\.out_proj\.(\w+)", r"layers.\1.self_attn.out_proj.\2"),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.(\w+)", r"layers.\1.norm1.\2"),
    (r"encoder\.layers\.(\d+)\.fc([12])\.(\w+)", r"layers.\1.linear\2.\3"),
    (r"encoder\.layers\.(\d+)\.final_layer_norm\.(\w+)", r"layers.\1.norm2.\2"),
]
"""Pattern of a tensor's name in a pre-trained model -> name in the frontend; ``1/0`` is block 0 of stage 1."""

LEFT_OUT = [
    (r"feature_extractor_audio\.", "branch of the audio, whose features are zeros for silent video"),
    (r"mask_emb$", "replaces masked input in pre-training"),
    (r"(final_proj\.|label_embs_concat$|target_glu\.)", "predicts the clusters of pre-training"),
]
"""Pattern of a tensor's name -> why the frontend does not have it."""

OUTSIDE = "decoder or output layer of the fine-tuned lip reading"


@dataclass(frozen=True)
class Official:
    """An official checkpoint as a frontend.

    Args:
        settings: arguments of the frontend.
        tensors: its state, float32.
        mapped: tensor of the checkpoint -> tensor of the frontend.
        left_out: tensor of the checkpoint -> why the frontend does not have it.
        shapes: of all tensors of the checkpoint.
    """

    settings: dict[str, Any]
    tensors: dict[str, Tensor]
    mapped: dict[str, str]
    left_out: dict[str, str]
    shapes: dict[str, list[int]]


def read_official(path: Path) -> Official:
    """The weights of the frontend from a checkpoint, pre-trained or fine-tuned for lip reading.

    Raises:
        UserError: it can't be read, is of another model, or has tensors or settings that the frontend does not have.
    """
    tree = unwrapped(read_foreign(path))
    model = unwrapped(tree.get("model")) if isinstance(tree, dict) else None
    state = {n: v for n, v in model.items() if isinstance(v, Tensor)} if isinstance(model, Mapping) else {}
    prefix = next((n.removesuffix(VIDEO + "proj.weight") for n in state if n.endswith(VIDEO + "proj.weight")), None)
    if prefix is None:
        raise UserError(f"{path} is no checkpoint of AV-HuBERT; give one that its authors publish", path=path)
    settings = _settings(tree, path)
    inner = {n.removeprefix(prefix): value for n, value in state.items() if n.startswith(prefix)}
    blocks = 1 + max(
        (int(m[1]) for n in inner if (m := re.match(VIDEO + r"resnet\.trunk\.layer1\.(\d)\.", n))), default=0
    )
    settings |= {"blocks": blocks, "channels": _channels(inner)}
    mapped, left_out, unknown = {}, {n: OUTSIDE for n in state if not n.startswith(prefix)}, []
    for name in inner:
        if target := _target(name, blocks):
            mapped[prefix + name] = target
        elif why := next((why for pattern, why in LEFT_OUT if re.match(pattern, name)), None):
            left_out[prefix + name] = why
        else:
            unknown.append(name)
    if unknown:
        raise UserError(f"{path} has tensors that AV-HuBERT does not have: {', '.join(unknown[:5])}; give another one")
    tensors = _combined(inner, {n.removeprefix(prefix): target for n, target in mapped.items()})
    _check(tensors, settings, path)
    shapes = {n: list(value.shape) for n, value in state.items()}
    return Official(_shortened(settings), tensors, mapped, left_out, shapes)


def _settings(tree: Any, path: Path) -> dict[str, Any]:
    """Arguments of the frontend from the checkpoint's settings: ``cfg`` or, in old ones, ``args``."""
    found = _section(tree, "cfg", "model") or _section(tree, "args")
    for _ in range(MAX_LEVELS):
        if not (inner := _section(found, "w2v_args")):  # fine-tuned: the settings of the pre-training
            break
        found = _section(inner, "model") or inner
    else:
        raise UserError(f"{path} has settings that contain themselves; get it from its authors again", path=path)
    if "layer_norm_first" not in found:  # the tensors do not show it, and official checkpoints always state it
        raise UserError(f"{path} has no settings of its model; give a checkpoint as its authors publish it", path=path)
    values = {name: unwrapped(value) for name, value in found.items()}
    for name, only in REQUIRED.items():
        if values.get(name, only) != only:
            raise UserError(
                f"{path} has {name} {values[name]}; only checkpoints with {only} can be imported", path=path
            )
    return {ours: values.get(name, default) for name, (ours, default) in SETTINGS.items()}


def _section(tree: Any, *keys: str) -> dict[str, Any]:
    for key in keys:
        tree = unwrapped(tree.get(key)) if isinstance(tree, dict) else None
    return tree if isinstance(tree, dict) else {}


def _channels(state: Mapping[str, Tensor]) -> tuple[int, ...]:
    names = (f"{VIDEO}resnet.trunk.layer{stage}.0.conv1.weight" for stage in range(1, 10))
    return tuple(len(state[name]) for name in names if name in state)


def _target(name: str, blocks: int) -> str | None:
    """A tensor's name in the frontend; None where no rule has it."""
    for pattern, target in RULES:
        if match := re.fullmatch(pattern, name):
            place = match.expand(target)
            return re.sub(r"(\d)/(\d)", lambda m: str((int(m[1]) - 1) * blocks + int(m[2])), place)
    return None


def _combined(state: Mapping[str, Tensor], mapped: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors of the frontend; several of the checkpoint may become one."""
    sources: dict[str, dict[str, Tensor]] = {}
    for name, target in mapped.items():
        kind = name.split(".")[-2] if "in_proj" in target else name.rsplit(".", 1)[-1]
        value = state[name]
        sources.setdefault(target, {})[kind] = value.float() if value.is_floating_point() else value.clone()
    tensors = {"imported": torch.tensor(1)}
    for target, parts in sources.items():
        if set(parts) == {"q_proj", "k_proj", "v_proj"}:
            tensors[target] = torch.cat([parts[f"{part}_proj"] for part in "qkv"])
        elif set(parts) == {"weight_g", "weight_v"}:  # weight normalisation over all but the kernel's dimension
            direction = parts["weight_v"]
            tensors[target] = direction * (parts["weight_g"] / direction.norm(dim=(0, 1), keepdim=True))
        elif target == "trunk.stem.0.weight":  # (C, 1, 5, 7, 7): neighbouring frames are channels here
            tensors[target] = parts["weight"].squeeze(1)
        elif len(parts) == 1:
            (tensors[target],) = parts.values()
    return {name: value.contiguous() for name, value in tensors.items()}


def _check(tensors: Mapping[str, Tensor], settings: dict[str, Any], path: Path) -> None:
    """Raises UserError where the tensors are not those of a frontend with these settings."""
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in AvHubert(Clock(), **settings).state_dict().items()}
    shapes = {name: tuple(value.shape) for name, value in tensors.items()}
    wrong = [n for n in sorted({*wanted, *shapes}) if wanted.get(n) != shapes.get(n)]
    if wrong:
        shown = "; ".join(f"{n}: {shapes.get(n, 'missing')}, not {wanted.get(n, 'there')}" for n in wrong[:5])
        raise UserError(f"{path} does not have the tensors of its settings ({shown}); it may be damaged", path=path)


def _shortened(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as a config has them: a size for its four numbers, and no defaults."""
    defaults = {"norm_first": True, "position_kernel": 128, "position_groups": 16, "blocks": 2}
    defaults |= {"channels": (64, 128, 256, 512)}
    changed = {n: value for n, value in settings.items() if n not in SIZES["base"] and value != defaults[n]}
    shape = {n: settings[n] for n in SIZES["base"]}
    size = next((name for name, sizes in SIZES.items() if sizes == shape), None)
    return {**({"size": size} if size else shape), **changed}
