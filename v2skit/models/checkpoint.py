"""Checkpoints: safetensors for weights, JSON for what describes them, nothing pickled.

A checkpoint is identified by the digest of the weights that inference uses: the averaged ones where there are any. It
is computed when they are saved, and verified whenever they are loaded.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import shutil
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from v2skit.config.features import feature_hash, feature_settings
from v2skit.config.load import check_config, origins_of, to_tree
from v2skit.config.schema import Config
from v2skit.errors import UserError
from v2skit.registry import plugins

META, WEIGHTS, AVERAGED, OPTIMISER = "meta.json", "model.safetensors", "ema.safetensors", "optimiser.pt"
DIGEST_LENGTH = 12
"""Hexadecimal digits of a digest."""

_DELETE = "delete this checkpoint to resume from the one before it"


@dataclass(frozen=True)
class Meta:
    """What describes a checkpoint.

    Args:
        task: ``a2a``, ``v2a`` or ``vocoder``.
        step: optimiser steps done.
        position: (epoch, batch) of the data at which training resumes.
        config: resolved, as a plain tree.
        features: :func:`v2skit.config.features.feature_settings`, and ``feature_hash`` of them.
        speakers: names behind the rows of a speaker table.
        plugins: the plug-ins whose components the config uses, and their versions.
        valid: validation losses at this step, by name; None where there was no validation.
        digest: of the weights that inference uses; empty in the files of earlier versions.
    """

    task: str
    step: int
    config: dict
    features: dict
    speakers: list[str]
    plugins: dict[str, str]
    feature_hash: str = ""
    position: tuple[int, int] = (0, 0)
    valid: dict[str, float] | None = None
    digest: str = ""


def new_meta(config: Config, task: str, speakers: list[str], **more: Any) -> Meta:
    """The description of a checkpoint of this config."""
    versions = {p.name: p.version for p in plugins.load()[1]}
    features = feature_settings(config.clock, config.mel)
    return Meta(
        task=task,
        config=to_tree(config),
        features=features,
        feature_hash=feature_hash(features),
        speakers=speakers,
        plugins={name: versions[name] for name in sorted(origins_of(config))},
        **{"step": 0, **more},
    )


@dataclass
class Checkpoint:
    """A checkpoint in memory.

    Args:
        meta: its description.
        weights: of the last optimiser step.
        averaged: their moving average, None where none is kept.
        optimiser: what resuming needs in addition.
    """

    meta: Meta
    weights: dict[str, Tensor]
    averaged: dict[str, Tensor] | None = None
    optimiser: dict[str, Any] | None = field(default=None, repr=False)

    @property
    def inference_weights(self) -> dict[str, Tensor]:
        """The weights that inference uses."""
        return self.averaged or self.weights


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint folder atomically: into a temporary one, flushed to disk, then renamed.

    Raises:
        UserError: the disk is full or can't be written; the checkpoints that exist are untouched.
    """
    temporary = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    meta = {**vars(checkpoint.meta), "digest": weights_digest(checkpoint.inference_weights)}
    try:
        temporary.mkdir(parents=True)
        save_file({k: v.contiguous() for k, v in checkpoint.weights.items()}, temporary / WEIGHTS)
        if checkpoint.averaged is not None:
            save_file({k: v.contiguous() for k, v in checkpoint.averaged.items()}, temporary / AVERAGED)
        if checkpoint.optimiser is not None:
            torch.save(checkpoint.optimiser, temporary / OPTIMISER)
        (temporary / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise UserError(
            f"checkpoint {folder} can't be written: {error}; free some disk space and run the same command again, "
            "it resumes from the last checkpoint",
            path=folder,
        ) from error


def load(folder: Path, optimiser: bool = False) -> Checkpoint:
    """Read a checkpoint folder.

    Raises:
        UserError: it is missing, truncated or otherwise damaged, or needs a plug-in that is not installed.
    """
    meta = read_meta(folder)
    try:
        weights = load_file(folder / WEIGHTS)
        averaged = load_file(folder / AVERAGED) if (folder / AVERAGED).exists() else None
        state = torch.load(folder / OPTIMISER, map_location="cpu", weights_only=True) if optimiser else None
    except (OSError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError) as error:
        raise UserError(f"checkpoint {folder} is damaged or incomplete ({error}); {_DELETE}", path=folder) from error
    checkpoint = Checkpoint(meta, weights, averaged, state)
    if meta.digest:
        check_digest(checkpoint.inference_weights, meta.digest, folder / (AVERAGED if averaged else WEIGHTS), _DELETE)
        return checkpoint
    return replace(checkpoint, meta=replace(meta, digest=digest(folder)))


def restore(module: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    """Load a checkpoint's weights into a module. Raises UserError where they do not fit."""
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"checkpoint {folder} does not fit the model that its config makes with this version of v2skit or of a "
            f"plug-in; train it again, or install the version that made it ({str(error).splitlines()[-1].strip()})",
            path=folder,
        ) from error


def read_meta(folder: Path) -> Meta:
    """The description of a checkpoint. Raises UserError as :func:`load` does."""
    try:
        tree = json.loads((folder / META).read_text(encoding="utf-8"))
        meta = Meta(**{**tree, "position": tuple(tree["position"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder} is not a complete checkpoint ({META}: {error})", path=folder) from error
    check_plugins(meta, folder)
    return meta


def check_plugins(meta: Meta, where: Path) -> None:
    """Raises UserError where a model needs a plug-in that is not installed, or broken."""
    installed = {p.name: p for p in plugins.load()[1]}
    for name, version in meta.plugins.items():
        if name not in installed or installed[name].error:
            why = f"is broken ({installed[name].error})" if name in installed else "is not installed"
            raise UserError(f"{where} was made with plug-in '{name}' {version}, which {why}; install that plug-in")


def config_of(meta: Meta) -> Config:
    """The checked config of a checkpoint. Raises UserError where a component in it is unknown."""
    return check_config(meta.config, source="the checkpoint's config")


def weights_digest(weights: dict[str, Tensor]) -> str:
    """A short hash of tensors: their names, types, shapes and bytes, in the order of the names."""
    found = hashlib.sha256()
    for name, tensor in sorted(weights.items()):
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        # As bytes, since numpy does not know all of torch's types.
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()[:DIGEST_LENGTH]


def check_digest(weights: dict[str, Tensor], digest: str, path: Path, remedy: str) -> None:
    """Raises UserError, with the remedy, where weights that were read from a file have another digest."""
    if weights_digest(weights) != digest:
        raise UserError(f"{path} is damaged: its weights do not match their digest; {remedy}", path=path)


def digest(folder: Path) -> str:
    """The digest of a checkpoint. Raises UserError as :func:`load` does.

    A checkpoint of an earlier version, which has none, is identified as it was then, by its file of weights: so it
    matches the records of what was made from it.
    """
    path = folder / WEIGHTS
    return read_meta(folder).digest or _file_digest(path, path.stat().st_mtime_ns)


@cache
def _file_digest(path: Path, modified: int) -> str:
    """Of a file as it was at that time, ns."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:DIGEST_LENGTH]


def folder_of(run: Path, step: int) -> Path:
    """The checkpoint folder of a run's step."""
    return run / f"checkpoint-{step:08d}"


def all_checkpoints(run: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted(p for p in run.glob("checkpoint-*") if (p / META).is_file())


def latest(run: Path) -> Path | None:
    """The newest checkpoint of a run."""
    found = all_checkpoints(run)
    return found[-1] if found else None


def best(run: Path) -> Path | None:
    """The checkpoint with the lowest validated total; the newest where none was validated."""
    validated = [(m.valid["total"], p) for p in all_checkpoints(run) if (m := read_meta(p)).valid]
    finite = [(total, p) for total, p in validated if math.isfinite(total)]
    return min(finite)[1] if finite else latest(run)


def folder_in(path: Path, remedy: str, run: str = "finetune") -> Path:
    """The checkpoint that a path leads to: itself, the best one of a run, or that of an experiment's run.

    Args:
        path: of one of these.
        remedy: for the error.
        run: name of the run that is meant in an experiment.

    Raises:
        UserError: there is no checkpoint.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; {remedy}")
    if (path / run).is_dir():
        path = path / run
    folder = path if (path / META).is_file() else best(path)
    if folder is None:
        raise UserError(f"{path} is neither a checkpoint nor a run with checkpoints; {remedy}")
    return folder


def prune(run: Path) -> None:
    """Keep the newest and the best checkpoint."""
    keep = {latest(run), best(run)}
    for path in all_checkpoints(run):
        if path not in keep:
            shutil.rmtree(path)
