"""A training run of a stage: claimed, started or gone on with, finished once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from v2skit.config.schema import PartTransfer, Training
from v2skit.losses.total import Losses
from v2skit.models import checkpoint
from v2skit.models.model import Model, Vocoder
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.runs import check_made_with, start
from v2skit.system.atomic import alone
from v2skit.system.extras import needs
from v2skit.training.distributed import SLOW


@dataclass(frozen=True)
class Run:
    """What a run is to be.

    Args:
        name: of its folder below the experiment's.
        depends: key of the settings it depends on, see :func:`v2skit.recipes.runs.check_made_with`.
        task: ``a2a``, ``v2a`` or ``vocoder``.
        settings: of the training.
        train: data directories.
        valid: data directory.
        with_video: whether these must have video.
        made_from: what else it depends on.
        parts: frozen steps and learning-rate factors of transferred parts.
        augment: change the training videos at random.
    """

    name: str
    depends: str
    task: str
    settings: Training
    train: list[Path]
    valid: Path
    with_video: bool
    made_from: dict = field(default_factory=dict)
    parts: dict[str, PartTransfer] = field(default_factory=dict)
    augment: bool = True


def train(recipe: Recipe, run: Run, build: Callable[[list[str] | None], tuple[Model | Vocoder, list[str]]]) -> None:
    """Train to the end, unless that is done.

    Args:
        recipe: whose experiment it is.
        run: what is to be trained.
        build: (speakers of the checkpoint to go on from, or None) -> (the model with its first weights, its speakers).

    Raises:
        UserError: the folder was made with other settings or data, or the data do not fit.
    """
    with alone(recipe.exp / run.name) if recipe.processes.first else nullcontext():
        _train_alone(recipe, run, build)


def _train_alone(recipe: Recipe, run: Run, build: Callable) -> None:
    with needs("train", "training"):
        from v2skit.training.trainer import Trainer

    config, folder, name, settings = recipe.config, recipe.exp / run.name, run.name, run.settings
    losses = Losses(config)
    data = recipe.digests([*run.train, run.valid], run.with_video)
    made_from = {**run.made_from, "data": data, "losses": losses.digests()}
    newest = _newest(recipe, folder)
    if newest is not None:
        check_made_with(config, folder, run.depends, made_from)
        if checkpoint.read_meta(newest).step >= settings.steps:
            print(f"{name} is done: {newest} (--force does it again)")
            return
    model, speakers = build(checkpoint.read_meta(newest).speakers if newest else None)
    count = sum(p.numel() for p in model.parameters())
    done = f" from step {checkpoint.read_meta(newest).step} on" if newest else ""
    print(f"{name}: {count / 1e6:.2f} M parameters, {settings.steps} steps{done}, into {folder}/")
    train_set = recipe.dataset(run.train, model, settings, training=True, augment=run.augment)
    valid_set = recipe.dataset([run.valid], model, settings, training=False)
    trainer = Trainer(
        folder, run.task, config, settings, model, train_set, valid_set, speakers, losses, run.parts, recipe.device,
        resume=newest is not None, processes=recipe.processes,
    )  # fmt: skip
    recipe.processes.gather(None, "at the start", SLOW)  # nothing is written before all have read
    if recipe.processes.first:
        start(config, folder, made_from, recipe.force)  # last, since it may delete a finished run
    trainer.train()
    print(f"{name}: best checkpoint {checkpoint.best(folder)}; log.jsonl, samples/ and tensorboard/ beside it")


def _newest(recipe: Recipe, folder: Path) -> Path | None:
    """The checkpoint to go on from: the one that the first process finds."""
    newest = None if recipe.force else checkpoint.latest(folder)
    name = recipe.processes.gather(newest and newest.name, "at the start", SLOW)[0]
    return folder / name if name else None
