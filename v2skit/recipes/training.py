"""A training run of an experiment: trained in its own folder, resumed or skipped; and the checkpoint that it gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from v2skit.config.parts import PARTS, Part, model_name
from v2skit.config.schema import Config, Training
from v2skit.data.dataset import SpeechDataset
from v2skit.data.targets import Targets
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models import checkpoint
from v2skit.models.look_ahead import model_shifts
from v2skit.models.model import Model, Vocoder
from v2skit.recipes import data, run_record, targets
from v2skit.recipes.predictions import Predictions
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.stored_streams import LONG
from v2skit.registry import sources
from v2skit.system.atomic import exclusive_lock
from v2skit.system.extras import needs
from v2skit.system.machine import write_record
from v2skit.training.distributed import SLOW
from v2skit.training.initialise import initial_digests, initialise
from v2skit.training.run_hooks import batch_processors


@dataclass(frozen=True)
class TrainingRun:
    """The description of a run.

    Args:
        name: of its folder in the experiment's.
        stage: number of the stage that trains it.
        task: ``a2a``, ``v2a`` or ``vocoder``.
        settings: of the training.
        train: names of data directories.
        valid: name of a data directory.
        depends: beginnings of the config's keys that its weights depend on.
        with_video: the data directories must have video.
        made_from: digests of its inputs other than data and losses.
        parts: initial weights and training of parts, by their names in the config.
        predictions: of another model, which are the input.
    """

    name: str
    stage: int
    task: str
    settings: Training
    train: Iterable[str]
    valid: str
    depends: tuple[str, ...]
    with_video: bool = False
    made_from: dict[str, Any] = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    predictions: Predictions | None = None


NewModel = Callable[[list[str] | None, Targets], tuple[Model | Vocoder, list[str]]]
"""(speakers of the checkpoint to resume from, or None; targets) -> (the model with initial weights, its speakers)."""


def train(recipe: Recipe, run: TrainingRun, build: NewModel) -> None:
    """Train to the last step; a run that is finished is skipped.

    Raises:
        UserError: the folder was made with other settings or data, or the data do not fit.
    """
    with exclusive_lock(recipe.exp / run.name) if recipe.processes.first else nullcontext():
        _train_locked(recipe, run, build)


def _train_locked(recipe: Recipe, run: TrainingRun, build: NewModel) -> None:
    with needs("train", "training"):
        from v2skit.training.trainer import Trainer

    config, folder, name, settings = recipe.config, recipe.exp / run.name, run.name, run.settings
    if recipe.processes.first:
        run_record.recover(folder)
        checkpoint.remove_remains(folder)
    losses = Losses(config)
    digests = data.digests(recipe, [*run.train, run.valid], run.with_video)
    fitted = targets.fit(recipe)
    clip_ids = data.clips(recipe, [*run.train, run.valid])
    made_from = {**run.made_from, "data": digests, "clips": clip_ids, "losses": losses.digests()}
    made_from |= targets.identities(fitted)
    made_from |= {"process_batch": batch_processors(config) or None}
    made_from |= initial_digests(run.parts, run.task, existing=True)
    newest = _newest(recipe, folder)
    if newest is not None:
        run_record.check_plugins(checkpoint.read_meta(newest), config, str(newest))
        run_record.check(folder, config, run.depends, made_from)
        if checkpoint.read_meta(newest).step >= settings.steps:
            print(f"{name} is finished, skipped: {newest} (--force repeats it)")
            return
    if newest is None:
        made_from |= initial_digests(run.parts, run.task)
    else:  # the files may have been deleted
        made_from = {**run_record.initial_digests(folder, run.parts), **made_from}
    model, speakers = build(checkpoint.read_meta(newest).speakers if newest else None, fitted)
    if newest:
        _check_look_ahead(newest, model, run.task, config, fitted)
    losses.check(model, fitted.built)  # now, not after hours in which targets are computed
    if recipe.processes.first:
        data.prepare_speakers(recipe, model.speaker, [*run.train, run.valid])
    recipe.processes.gather(None, "while the first one prepares speakers", LONG)
    targets.store(recipe, fitted, run.train, run.valid)
    if run.predictions:
        run.predictions.store([*run.train, run.valid])
    ledger = None if newest else initialise(model, run.parts, run.task, config, speakers, fitted)
    count = sum(p.numel() for p in model.parameters())
    resumed = f", resumed from step {checkpoint.read_meta(newest).step}" if newest else ""
    print(f"{name}: {count / 1e6:.2f} M parameters, {settings.steps} steps{resumed}, into {folder}/")
    clips = partial(dataset, recipe, model=model, settings=settings, fitted=fitted, predictions=run.predictions)
    train_set = clips(run.train, training=True)
    for note in targets.check_lengths(model, train_set):
        print(f"note: {note}")
    valid_set = clips([run.valid], training=False)
    parts = {model_name(name): part for name, part in run.parts.items()}
    trainer = Trainer(
        folder, run.task, config, settings, model, train_set, valid_set, speakers, losses, parts, recipe.device,
        resume=newest is not None, processes=recipe.processes, targets=fitted,
        predictor=run.made_from.get("predictor", ""),
    )  # fmt: skip
    identities = sources.identities(run_record.trained_origins(config))
    # Nothing is written before all processes have read.
    sources.check_alike(recipe.processes.gather(identities, "at the start", SLOW))
    first = recipe.processes.first
    # Last, since it may replace a finished run.
    with run_record.claimed(folder, config, made_from, recipe.force) if first else nullcontext(_nothing) as started:
        if ledger and first:
            ledger.write(folder, "model", "file")
        if first:
            write_record(folder, recipe.device, recipe.processes.world)
        trainer.train(started)
    print(f"{name}: best checkpoint {checkpoint.best(folder)}; logs and samples/ are in {folder}/")


def _nothing() -> None:
    """What a process that does not claim the run does once the training has started."""


def _check_look_ahead(newest: Path, model: Model | Vocoder, task: str, config: Config, fitted: Targets) -> None:
    """Raises UserError where layers of a run that resumes would see other frames: some arguments that change synthesis
    alone elsewhere, such as the steps of ``flow_mel``, divide a limited look-ahead among them."""
    meta = checkpoint.read_meta(newest)
    for name, shift in model_shifts(meta, model, config, fitted, PARTS[task]).items():
        part = name.partition(".")[0]
        raise UserError(
            f"{newest}: {name} was trained with another look-ahead ({shift.theirs} -> {shift.ours} frames); resume "
            f"with the arguments that networks.{part} had, and change them for synthesis after the training, or "
            "--force to repeat that stage"
        )


def _newest(recipe: Recipe, folder: Path) -> Path | None:
    """The checkpoint to resume from: the one that the first process finds."""
    newest = None if recipe.force else checkpoint.latest(folder)
    name = recipe.processes.gather(newest and newest.name, "at the start", SLOW)[0]
    return folder / name if name else None


def dataset(
    recipe: Recipe,
    names: Iterable[str],
    model: Model | Vocoder,
    settings: Training,
    training: bool,
    fitted: Targets = Targets(),
    predictions: Predictions | None = None,
) -> SpeechDataset:
    """The clips of data directories, with the model's inputs and the streams of the targets and of predictions."""
    directories = [recipe.data(name) for name in names]
    streams = [
        {**targets.stored_streams(recipe, fitted, directory), **(predictions.stored(directory) if predictions else {})}
        for directory in directories
    ]
    return SpeechDataset(
        directories,
        [model.speaker.reader(directory) for directory in directories],
        recipe.config.clock,
        with_video="video" in model.inputs,
        augmentation=recipe.config.augmentation,
        training=training,
        segment_frames=settings.segment_frames,
        seed=recipe.config.seed,
        cache_mb=settings.cache_mb,
        streams=streams,
        margin_samples=recipe.config.mel.margin_samples,
    )


def best_checkpoint(recipe: Recipe, run: TrainingRun) -> Path:
    """The best checkpoint of a run; a run that is not finished is noted.

    Raises:
        UserError: there is none, or the run was made with another config or from other inputs, such as a training set
            with other clips: what is a test clip now may have been among them.
    """
    folder = recipe.exp / run.name
    names = [*run.train, run.valid]
    made_from = {**run.made_from, **{f"data.{n}": d for n, d in data.existing_digests(recipe, names).items()}}
    made_from |= {f"clips.{n}": d for n, d in data.clips(recipe, names).items()}
    made_from |= initial_digests(run.parts, run.task, existing=True)
    run_record.check(folder, recipe.config, run.depends, made_from)
    newest = checkpoint.latest(folder)
    if newest is None:
        raise UserError(f"{folder} has no checkpoint; stage {run.stage} makes it")
    step = checkpoint.read_meta(newest).step
    if step < run.settings.steps:
        print(f"note: {folder} is at step {step} of {run.settings.steps}; stage {run.stage} resumes it")
    return checkpoint.best(folder) or newest
