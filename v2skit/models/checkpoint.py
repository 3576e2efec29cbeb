"""Checkpoints: safetensors for weights, JSON for what describes them, nothing pickled."""

from __future__ import annotations

import hashlib
import json
import math
import os
import pickle
import shutil
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Meta:
    """What describes a checkpoint.

    Args:
        task: ``a2a``, ``v2a`` or ``vocoder``.
        step: optimiser steps done.
        position: (epoch, batch) at which the data goes on.
        config: resolved, as a plain tree.
        features: :func:`v2skit.config.features.feature_settings`, and ``feature_hash`` of them.
        speakers: names behind the rows of a speaker table.
        plugins: the plug-ins whose components the config uses, and their versions.
        valid: validation losses at this step, by name; None where there was no validation.
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
    """A checkpoint in memory. ``optimiser`` is what resuming needs beside the weights."""

    meta: Meta
    weights: dict[str, Tensor]
    averaged: dict[str, Tensor] | None = None
    optimiser: dict[str, Any] | None = field(default=None, repr=False)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint folder: beside, flushed to disk, then renamed, so that it is whole or not there.

    Raises:
        UserError: the disk is full or can't be written; what was there before is untouched.
    """
    beside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        save_file({k: v.contiguous() for k, v in checkpoint.weights.items()}, beside / WEIGHTS)
        if checkpoint.averaged is not None:
            save_file({k: v.contiguous() for k, v in checkpoint.averaged.items()}, beside / AVERAGED)
        if checkpoint.optimiser is not None:
            torch.save(checkpoint.optimiser, beside / OPTIMISER)
        (beside / META).write_text(json.dumps(vars(checkpoint.meta), indent=1), encoding="utf-8")
        for path in beside.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise UserError(
            f"checkpoint {folder} can't be written: {error}; free some disk space and run the same command again, "
            "it goes on from the last checkpoint"
        ) from error


def load(folder: Path, optimiser: bool = False) -> Checkpoint:
    """Read a checkpoint folder.

    Raises:
        UserError: it is missing or truncated, or needs a plug-in that is not installed.
    """
    meta = read_meta(folder)
    try:
        weights = load_file(folder / WEIGHTS)
        averaged = load_file(folder / AVERAGED) if (folder / AVERAGED).exists() else None
        state = torch.load(folder / OPTIMISER, map_location="cpu", weights_only=True) if optimiser else None
    except (OSError, RuntimeError, EOFError, SafetensorError, pickle.UnpicklingError) as error:
        raise UserError(
            f"checkpoint {folder} is damaged or incomplete ({error}); delete this folder to go on from the one before"
        ) from error
    return Checkpoint(meta, weights, averaged, state)


def restore(module: nn.Module, weights: dict[str, Tensor], folder: Path) -> None:
    """Put a checkpoint's weights into a module. Raises UserError where they are of another one."""
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(
            f"checkpoint {folder} does not fit the model that its config makes with this version of v2skit or of a "
            f"plug-in; train it anew, or go back to the version that made it ({str(error).splitlines()[-1].strip()})"
        ) from error


def read_meta(folder: Path) -> Meta:
    """The description of a checkpoint. Raises UserError as :func:`load` does."""
    try:
        tree = json.loads((folder / META).read_text(encoding="utf-8"))
        meta = Meta(**{**tree, "position": tuple(tree["position"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{folder} is not a whole checkpoint ({META}: {error})") from error
    check_plugins(meta, folder)
    return meta


def check_plugins(meta: Meta, where: Path) -> None:
    """Raises UserError where a model needs a plug-in that is not here."""
    installed = {p.name: p for p in plugins.load()[1]}
    for name, version in meta.plugins.items():
        if name not in installed or installed[name].error:
            why = f"is broken here ({installed[name].error})" if name in installed else "is not installed"
            raise UserError(f"{where} was made with plug-in '{name}' {version}, which {why}; install that plug-in")


def config_of(meta: Meta) -> Config:
    """The checked config of a checkpoint. Raises UserError where this installation does not know a part of it."""
    return check_config(meta.config, source="the checkpoint's config")


def digest(folder: Path) -> str:
    """A short hash of a checkpoint's weights."""
    return hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()[:12]


def folder_of(run: Path, step: int) -> Path:
    """Where a run keeps the checkpoint of a step."""
    return run / f"checkpoint-{step:08d}"


def all_checkpoints(run: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
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
    """A checkpoint folder itself, or the best one of a run, of the named one where an experiment's folder is given.
    Raises UserError, with the remedy, where there is none."""
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
