"""Checkpoints: safetensors for weights, JSON for what describes them, nothing pickled.

A checkpoint is identified by the digest of the weights that inference uses: the averaged ones where there are any. It
is computed when they are saved, and verified whenever they are loaded.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from v2skit.config.check import check
from v2skit.config.features import feature_hash, feature_settings
from v2skit.config.load import origins_of, to_tree
from v2skit.config.plugin_files import stored_files
from v2skit.config.schema import Config
from v2skit.errors import UserError, nearest
from v2skit.models.finite import not_finite
from v2skit.models.stored_config import model_sections, usable_config
from v2skit.registry import plugins, sources
from v2skit.system.atomic import delete_folder, flush, unfinished
from v2skit.system.checksum import sha256_of
from v2skit.system.state_file import check_permission, damaged, read_state

META, WEIGHTS, AVERAGED, OPTIMISER = "meta.json", "model.safetensors", "ema.safetensors", "optimiser.pt"
DIGEST_LENGTH = 12
"""Hexadecimal digits of a digest."""

_DELETE = "delete this checkpoint to resume from the one before it"
_COUNT = Annotated[int, Field(ge=0)]
_TASK = Annotated[str, Field(pattern="^(a2a|v2a|vocoder)$")]


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
        plugins: the plug-ins and packages whose components the model is made of, and their versions.
        targets: states of the fitted targets, by name of the stream.
        valid: validation losses at this step, by name; None where there was no validation.
        best_metric: name of the one that selects the best checkpoint.
        digest: of the weights that inference uses; empty in the files of earlier versions.
        files: digests of the files that resuming reads, by name; empty in the files of earlier versions.
        sources: digests of the sources of its plug-ins and those of its losses, see :mod:`v2skit.registry.sources`.
        predictor: digest of the model that predicted its inputs in training; empty where there was none, and in the
            files of earlier versions.
    """

    task: _TASK
    step: _COUNT
    config: dict
    features: dict
    speakers: list[str]
    plugins: dict[str, str]
    feature_hash: str = ""
    position: tuple[_COUNT, _COUNT] = (0, 0)
    targets: dict[str, dict] = field(default_factory=dict)
    valid: dict | None = None
    best_metric: str = "total"
    digest: str = ""
    files: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    predictor: str = ""


def new_meta(config: Config, task: str, speakers: list[str], **more: Any) -> Meta:
    """The description of a checkpoint of this config, but for its loggers: who uses the model needs none of them."""
    config = replace(config, loggers={})
    with plugins.using(config.plugins):
        versions = plugins.versions({"v2skit"} | origins_of(model_sections(config)))
        digests = sources.digests(origins_of([*model_sections(config), config.losses]))
    features = feature_settings(config.clock, config.mel)
    return Meta(
        task=task,
        config={key: value for key, value in to_tree(config).items() if key != "loggers"},
        features=features,
        feature_hash=feature_hash(features),
        speakers=speakers,
        plugins=versions,
        sources=digests,
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
    part = unfinished(folder)
    shutil.rmtree(part, ignore_errors=True)
    meta = {**vars(checkpoint.meta), "digest": weights_digest(checkpoint.inference_weights)}
    try:
        part.mkdir(parents=True)
        save_file({k: v.contiguous() for k, v in checkpoint.weights.items()}, part / WEIGHTS)
        if checkpoint.averaged is not None:
            save_file({k: v.contiguous() for k, v in checkpoint.averaged.items()}, part / AVERAGED)
        if checkpoint.optimiser is not None:
            torch.save(checkpoint.optimiser, part / OPTIMISER)
            meta["files"] = {name: _file_digest(part / name) for name in (WEIGHTS, OPTIMISER)}
        (part / META).write_text(json.dumps(meta, indent=1), encoding="utf-8")
        for path in part.iterdir():
            flush(path)
        delete_folder(folder)
        part.rename(folder)
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(part, ignore_errors=True)
        raise UserError(
            f"checkpoint {folder} can't be written: {error}; free some disk space and run the same command again: "
            "without --force it resumes from the last checkpoint",
            path=folder,
        ) from error


def load(folder: Path, optimiser: bool = False) -> Checkpoint:
    """Read a checkpoint folder.

    Raises:
        UserError: it is missing, truncated or otherwise damaged, or needs a plug-in that is not installed.
    """
    meta = read_meta(folder)
    for name in (WEIGHTS, AVERAGED, OPTIMISER):
        check_permission(folder / name)
    for name, digest_of_file in (meta.files if optimiser else {}).items():
        if name in (WEIGHTS, OPTIMISER) and (folder / name).is_file() and _file_digest(folder / name) != digest_of_file:
            raise damaged(folder / name, "its content does not match its digest", _DELETE)
    try:
        weights = load_file(folder / WEIGHTS)
        averaged = load_file(folder / AVERAGED) if (folder / AVERAGED).exists() else None
        state = torch.load(folder / OPTIMISER, map_location="cpu", weights_only=True) if optimiser else None
    except Exception as error:  # of a damaged file torch raises errors of many types
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
    if bad := not_finite(module):
        raise damaged(folder, f"weights that are not finite, e.g. {bad[0]}", "fetch it again, or train it again")


def read_meta(folder: Path) -> Meta:
    """The description of a checkpoint. Raises UserError as :func:`load` does."""
    check_permission(folder / META)  # an error of its own: the checkpoint is complete
    try:
        tree = read_state(folder / META, _DELETE)
        if tree is None:
            raise UserError(f"{folder / META} does not exist; {_DELETE}")
        meta = check_meta(tree, str(folder / META), _DELETE)
    except UserError as error:
        raise UserError(f"{folder} is not a complete checkpoint ({error})", path=folder) from error
    check_plugins(meta, folder)
    return meta


def check_meta(tree: Any, source: str, remedy: str) -> Meta:
    """A stored description. Raises UserError, with the remedy, where a key or value does not fit."""
    try:
        return check(tree, Meta, source)
    except UserError as error:
        raise UserError(f"{error}; {remedy}", **error.fields) from error


def check_plugins(meta: Meta, where: Path) -> None:
    """Raises UserError where a model needs a plug-in that is not installed, or broken."""
    saved = {file.name for file in stored_files(meta.config, str(where))}
    for name, version in meta.plugins.items():
        why = None if name in saved else plugins.fault(name)
        if why:
            made_with = f"plug-in '{name}'{f' {version}' if version else ''}"
            raise UserError(f"{where} was made with {made_with}, which {why}; install that plug-in")


def config_of(meta: Meta) -> Config:
    """The checked config of a checkpoint; losses, scores, corpora and the tracker only where they can be used.

    Raises:
        UserError: a key, a value or a component of its model is unknown, or it runs code that is not trusted.
    """
    try:
        return usable_config(meta.config, meta.plugins, source="the checkpoint's config")
    except UserError as error:
        if "untrusted" in error.fields:
            raise
        remedy = "install the version of v2skit or the plug-in that made it, or fetch or train it again"
        raise UserError(f"{error}; {remedy}", **error.fields) from error


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
    try:
        return read_meta(folder).digest or _cached_file_digest(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise damaged(path, error, _DELETE) from error


@cache
def _cached_file_digest(path: Path, modified: int) -> str:
    """Of a file as it was at that time, ns."""
    return _file_digest(path)


def _file_digest(path: Path) -> str:
    return sha256_of(path)[:DIGEST_LENGTH]


def folder_of(run: Path, step: int) -> Path:
    """The checkpoint folder of a run's step."""
    return run / f"checkpoint-{step:08d}"


def all_checkpoints(run: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted(p for p in run.glob("checkpoint-*") if (p / META).is_file() and not _is_hollow(p))


def latest(run: Path) -> Path | None:
    """The newest checkpoint of a run."""
    found = all_checkpoints(run)
    return found[-1] if found else None


def best(run: Path) -> Path | None:
    """The checkpoint with the lowest validation loss of those that select; the newest where none was validated."""
    metas = [(read_meta(path), path) for path in all_checkpoints(run)]
    validated = [((meta.valid or {}).get(meta.best_metric), path) for meta, path in metas]
    finite = [(loss, path) for loss, path in validated if isinstance(loss, float) and math.isfinite(loss)]
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
        raise UserError(f"{path} does not exist; {remedy}{nearest(path)}")
    if (path / run).is_dir():
        path = path / run
    folder = path if (path / META).is_file() else best(path)
    if folder is None:
        raise UserError(f"{path} is neither a checkpoint nor a run with checkpoints; {remedy}")
    return folder


def prune(run: Path) -> None:
    """Keep the newest and the best checkpoint, and remove what interrupted writes and deletions left of others."""
    keep = {latest(run), best(run)}
    for path in all_checkpoints(run):
        if path not in keep:
            delete_folder(path)
    remove_remains(run)


def remove_remains(run: Path) -> None:
    """Delete what interrupted writes and deletions left of checkpoints; none may be being written."""
    hollow = [path for path in run.glob("checkpoint-*") if path.is_dir() and _is_hollow(path)]
    for path in [*run.glob(".checkpoint-*.part"), *run.glob(".checkpoint-*.deleted"), *hollow]:
        shutil.rmtree(path, ignore_errors=True)


def _is_hollow(folder: Path) -> bool:
    """Whether a folder is what an interrupted deletion left of a checkpoint: some of its files."""
    try:
        names = {path.name for path in folder.iterdir()}
    except FileNotFoundError:  # another process has deleted it by now
        return True
    complete = META in names and names & {WEIGHTS, AVERAGED}
    return not complete and names <= {META, WEIGHTS, AVERAGED, OPTIMISER}
