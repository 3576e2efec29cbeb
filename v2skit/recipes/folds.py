"""Models that were not trained on the clips that they predict: one for each fold of the training clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from v2skit.config.schema import Config
from v2skit.data.data_dir import Utterance
from v2skit.data.index import open_index
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.checkpoint import config_of, read_meta
from v2skit.recipes.predictor import predictor_folder
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.stored_streams import LONG
from v2skit.recipes.subsets import write_subset
from v2skit.recipes.trained_on import start_of, trained_on
from v2skit.registry import plugins


def train_folds(recipe: Recipe, trained: Callable[[Recipe], Path]) -> tuple[Path, ...]:
    """Train one V2A model for each fold, with the config of the predictor, on the training clips of the other folds.
    Each is an experiment of its own, ``folds/1`` to ``folds/K``; those that are finished are skipped.

    Args:
        recipe: with a predictor and folds.
        trained: runs the stages that train a V2A model, and gives its checkpoint.

    Returns:
        the checkpoints: that of fold k was not trained on the utterances n of the index with ``n % K == k``.

    Raises:
        UserError: as these stages, and where the predictor can't be read, or starts from weights that were trained on
            the training clips.
    """
    found = []
    if recipe.config.predictor_folds:
        _check_start(recipe)
    for number, fold in enumerate(fold_recipes(recipe)):
        print(f"fold {number + 1} of {recipe.config.predictor_folds}: a predictor that is not trained on its clips")
        if recipe.processes.first:
            _write_directory(recipe, number)
        recipe.processes.gather(None, "while the first one writes data directories", LONG)
        with plugins.using(fold.config.plugins):
            found.append(trained(fold))
    return tuple(found)


def fold_recipes(recipe: Recipe) -> Iterator[Recipe]:
    """The experiment of each fold. Its decoder comes from the predictor's pre-training, unless that was on the audio of
    the training clips: then the fold is pre-trained without its own. Raises UserError as :func:`train_folds`."""
    folder = predictor_folder(recipe)
    theirs, name = config_of(read_meta(folder)), recipe.config.data.train
    given = checkpoint.folder_in(Path(theirs.pretrained or folder.parent.parent), "stage 2 makes it", "pretrain")
    pretrained = None if name in trained_on(given).directories else str(given)
    for number in range(recipe.config.predictor_folds):
        without = directory_of(recipe.config, number)
        pretrain = [without if other == name else other for other in theirs.data.pretrain]
        data = replace(recipe.config.data, train=without, pretrain=pretrain, pretrain_valid=theirs.data.pretrain_valid)
        config = replace(theirs, data=data, pretrained=pretrained, scratch=False, loggers=recipe.config.loggers)
        yield replace(recipe, config=config, exp=recipe.exp / "folds" / str(number + 1))


def _check_start(recipe: Recipe) -> None:
    """Raises UserError where the models of the folds, which have the config of the predictor, would start from weights
    that were trained on the clips that they predict, or where their losses or inputs are of such a model."""
    folder, name = predictor_folder(recipe), recipe.config.data.train
    theirs = config_of(read_meta(folder))
    anew = any(fold.config.pretrained is None for fold in fold_recipes(recipe))
    for key, place in {**(start_of(theirs, "a2a") if anew else {}), **start_of(theirs, "v2a")}.items():
        if name in trained_on(place).directories:
            raise UserError(
                f"predictor {folder} has {key} {place}, which was trained on {name}, so that the models of its folds "
                f"would know the clips that they predict; name a predictor that was trained without {key}, or whose "
                f"{key} is of other clips",
                key="predictor",
            )


def directory_of(config: Config, number: int) -> str:
    """The name of the data directory with the training clips that are not in a fold, numbered from 0."""
    return f"{config.data.train}-without-{number + 1}-of-{config.predictor_folds}"


def held_out(recipe: Recipe, number: int) -> list[Utterance]:
    """The training clips of a fold, numbered from 0."""
    index = open_index(recipe.data(recipe.config.data.train))
    return [index[row] for row in range(number, len(index), recipe.config.predictor_folds)]


def _write_directory(recipe: Recipe, number: int) -> None:
    """A data directory with the clips of all other folds, unless there is one of the same clips."""

    def others(utterances: list[Utterance]) -> list[Utterance]:
        left_out = {u.id for u in held_out(recipe, number)}
        return [u for u in utterances if u.id not in left_out]

    source, directory = recipe.data(recipe.config.data.train), recipe.data(directory_of(recipe.config, number))
    write_subset(source, directory, others, [number, recipe.config.predictor_folds], replace=True)
