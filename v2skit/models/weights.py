"""Weights of one part of a model, from any file that has them: a checkpoint, a pack, also on a hub, or a bare state
dict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from v2skit.config.parts import PARTS, Part, model_name
from v2skit.errors import UserError
from v2skit.hub.address import SUFFIX
from v2skit.hub.fetch import local_path
from v2skit.models import checkpoint
from v2skit.models.checkpoint import Meta
from v2skit.models.pack_parts import read_part
from v2skit.system.state_file import check_permission

RUNS = {"a2a": ("pretrain", "finetune"), "v2a": ("finetune", "pretrain"), "vocoder": ("finetune", "pretrain")}
"""Task -> names of the runs of an experiment in which its weights are looked for, in this order."""


@dataclass(frozen=True)
class PartWeights:
    """Weights of a part, and the rest of their file.

    Args:
        place: of the file, for messages.
        tensors: of the part, by their names in it.
        others: the other tensors of the file, by their names there.
        digest: of the file's weights.
        meta: description of a checkpoint or pack; None for a bare state dict.
    """

    place: Path
    tensors: dict[str, Tensor]
    others: dict[str, Tensor]
    digest: str
    meta: Meta | None = None


def read_weights(name: str, part: Part, task: str) -> PartWeights:
    """The weights that ``init`` of a part names.

    Args:
        name: of the part in the config.
        part: its settings, with ``init``.
        task: of the model that is initialised.

    Raises:
        UserError: there is no such file, it is damaged or of no known format, or it has nothing of the part.
    """
    key, theirs = f"parts.{name}.init", part.init_part or name
    try:
        tensors, digest, meta, place = _open(local_path(part.init or ""), theirs, task)
    except UserError as error:
        raise UserError(f"{key}: {error}", **{**error.fields, "key": key}) from error
    if meta is not None and part.init_prefix is None and theirs.partition(".")[0] not in PARTS[meta.task]:
        known = ", ".join(PARTS[meta.task])
        raise UserError(f"{key}: {place} is a model of task {meta.task} without {theirs}; its parts: {known}", key=key)
    prefixes = {f"{model_name(theirs)}.": ""} if part.init_prefix is None else part.init_prefix
    found, others = {}, {}
    for tensor, value in tensors.items():
        prefix = max((p for p in prefixes if tensor.startswith(p)), key=len, default=None)
        if prefix is None:
            others[tensor] = value
        else:
            found[prefixes[prefix] + tensor.removeprefix(prefix)] = value
    if not found:
        starts = ", ".join(sorted({tensor.partition(".")[0] for tensor in tensors})[:10]) or "nothing"
        wanted = " or ".join(map(repr, prefixes))
        remedy = f"give init_part or init_prefix as they are there, or null as {key}"
        raise UserError(f"{key}: no tensor of {place} begins with {wanted}; it has {starts}; {remedy}", key=key)
    return PartWeights(place, found, others, digest, meta)


def digest_of(part: Part, name: str, task: str) -> str:
    """The digest of the file that ``init`` names. Raises UserError as :func:`read_weights` does."""
    path = local_path(part.init or "")
    folder = _folder(path, part.init_part or name, task) if path.is_dir() else None
    return checkpoint.digest(folder) if folder else read_weights(name, part, task).digest


def place_of(name: str, part: Part, task: str) -> Path:
    """The checkpoint or file that ``init`` of a part leads to; where there is none, its path."""
    path = Path(part.init or "")
    try:
        path = local_path(part.init or "")
        return _folder(path, part.init_part or name, task) if path.is_dir() else path
    except UserError:
        return path


def _open(path: Path, part: str, task: str) -> tuple[dict[str, Tensor], str, Meta | None, Path]:
    """The tensors of a file, their digest, its description, and its place."""
    if path.is_dir() or not path.exists():
        folder = _folder(path, part, task)
        saved = checkpoint.load(folder)
        return saved.inference_weights, saved.meta.digest, saved.meta, folder
    if path.suffix == SUFFIX:
        saved = read_part(path, "vocoder" if part in PARTS["vocoder"] else "model")
        return saved.inference_weights, saved.meta.digest, saved.meta, path
    check_permission(path)
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:  # nothing but tensors is unpickled
            tensors = _flat(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # of a damaged file torch raises errors of many types
        # Of what is no pickle of tensors, torch advises to load it unsafely.
        why = "no weights" if isinstance(error, (UnpicklingError, EOFError)) else " ".join(str(error).split())[:200]
        remedy = "give a checkpoint, a run, an experiment, a pack, or a state dict with tensors only"
        raise UserError(f"{path} can't be read as weights ({why}); {remedy}", path=path) from error
    return tensors, checkpoint.weights_digest(tensors), None, path


def _folder(path: Path, part: str, task: str) -> Path:
    """The checkpoint that a folder leads to; of an experiment, that of the run with the part."""
    of_part = [other for other, parts in PARTS.items() if part.partition(".")[0] in parts]
    runs = RUNS[task if task in of_part or not of_part else of_part[0]]
    run = next((run for run in runs if (path / run).is_dir()), runs[0])
    return checkpoint.folder_in(path, "give a checkpoint, a run, an experiment, a pack or a state dict", run)


def _flat(tree: Any, prefix: str = "") -> dict[str, Tensor]:
    """Nested dicts -> their tensors by dotted names."""
    if isinstance(tree, Tensor):
        return {prefix.removesuffix("."): tree}
    entries = tree.items() if isinstance(tree, Mapping) else ()
    return {name: value for key, inner in entries for name, value in _flat(inner, f"{prefix}{key}.").items()}
