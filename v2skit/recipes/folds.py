"""Models that were not trained on the clips that they predict: one for each fold of the training clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from v2skit.config.schema import Config
from v2skit.data.data_dir import Utterance, read_manifest
from v2skit.data.index import open_index
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.checkpoint import config_of
from v2skit.models.places import meta_in
from v2skit.recipes.predictor import predictor_place
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.shared_clips import overlapping, shared_clips
from v2skit.recipes.stored_streams import LONG, content_digest
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
            the training clips, or on data that are not known.
    """
    found = []
    if recipe.config.predictor_folds:
        _check_start(recipe)
    for number, fold in enumerate(fold_recipes(recipe)):
        print(f"fold {number + 1} of {recipe.config.predictor_folds}: a predictor that is not trained on its clips")
        if recipe.processes.first:
            _write_directories(recipe, number, fold.config)
        recipe.processes.gather(None, "while the first one writes data directories", LONG)
        with plugins.using(fold.config.plugins):
            found.append(trained(fold))
    return tuple(found)


def fold_recipes(recipe: Recipe) -> Iterator[Recipe]:
    """The experiment of each fold. Its decoder comes from the predictor's pre-training, unless that was on the audio of
    the training clips, or on data that are not known: then the fold is pre-trained without its own clips. Raises
    UserError as :func:`train_folds`."""
    if not recipe.config.predictor_folds:
        return
    place = predictor_place(recipe)
    if place.is_file():
        raise UserError(
            f"predictor {recipe.config.predictor} is a packed model, without the pre-training that the models of the "
            "folds start from; name the experiment that it was packed from, or set predictor_folds to 0",
            key="predictor",
        )
    theirs, name = config_of(meta_in(place)), recipe.config.data.train
    pretrained = None
    if theirs.has_pretraining:
        given = checkpoint.folder_in(Path(theirs.pretrained or place.parent.parent), "stage 2 makes it", "pretrain")
        known = trained_on(given)
        pretrained = None if known.unknown or overlapping(recipe, name, known.directories) else str(given)
    ours = overlapping(recipe, name, theirs.data.pretrain)
    for number in range(recipe.config.predictor_folds):
        without = directory_of(recipe.config, number)
        pretrain = [directory_of(recipe.config, number, x) if x in ours else x for x in theirs.data.pretrain]
        data = replace(recipe.config.data, train=without, pretrain=pretrain, pretrain_valid=theirs.data.pretrain_valid)
        config = replace(theirs, data=data, pretrained=pretrained, scratch=False, loggers=recipe.config.loggers)
        yield replace(recipe, config=config, exp=recipe.exp / "folds" / str(number + 1))


def _check_start(recipe: Recipe) -> None:
    """Raises UserError where the models of the folds, which have the config of the predictor, would start from weights
    that were trained on the clips that they predict, or where their losses or inputs are of such a model."""
    predictor, name = predictor_place(recipe), recipe.config.data.train
    theirs = config_of(meta_in(predictor))
    anew = theirs.has_pretraining and any(fold.config.pretrained is None for fold in fold_recipes(recipe))
    for key, place in {**(start_of(theirs, "a2a") if anew else {}), **start_of(theirs, "v2a")}.items():
        known = trained_on(place)
        if known.unknown:
            raise UserError(
                f"predictor {predictor} has {key} {place}, and whether that was trained on the clips of {name} can't "
                f"be checked, since {min(known.unknown)} can't be read; restore it, or name a predictor that was "
                f"trained without {key}",
                key="predictor",
            )
        if names := overlapping(recipe, name, known.directories):
            raise UserError(
                f"predictor {predictor} has {key} {place}, which was trained on {min(names)}, so that the models of "
                f"its folds would know the clips that they predict; name a predictor that was trained without {key}, "
                f"or whose {key} is of other clips",
                key="predictor",
            )


def directory_of(config: Config, number: int, name: str | None = None) -> str:
    """The name of the data directory with the training clips that are not in a fold, numbered from 0, or with those of
    another data directory."""
    train, fold = config.data.train, f"{number + 1}-of-{config.predictor_folds}"
    return f"{train}-without-{fold}" if name in (None, train) else f"{name}-without-{fold}-of-{train.replace('/', '-')}"


def held_out(recipe: Recipe, number: int) -> list[Utterance]:
    """The training clips of a fold, numbered from 0."""
    index = open_index(recipe.data(recipe.config.data.train))
    return [index[row] for row in range(number, len(index), recipe.config.predictor_folds)]


def _write_directories(recipe: Recipe, number: int, fold: Config) -> None:
    """The data directories of a fold, whose model has this config: those with training clips without the clips of the
    fold, unless there is one of the same clips."""
    config, folds = recipe.config, recipe.config.predictor_folds
    left_out = held_out(recipe, number)

    train = config.data.train
    clips = read_manifest(recipe.data(train))
    if len({clip.video for clip in clips}) < len(clips):
        raise UserError(
            f"{train} has utterances that share a video, as those in further voices do, so that a fold would leave out "
            "others as well; give data.train one utterance of each video",
            key="data.train",
        )

    def others(utterances: list[Utterance]) -> list[Utterance]:
        ids = {clip.id for clip in shared_clips(left_out, utterances)}
        return [utterance for utterance in utterances if utterance.id not in ids]

    chosen_by = [number, folds]
    write_subset(recipe.data(train), recipe.data(fold.data.train), others, chosen_by, replace=True)
    if fold.pretrained:
        return
    of_train = [content_digest(recipe.data(train)), *chosen_by]
    for name in config_of(meta_in(predictor_place(recipe))).data.pretrain:
        directory = directory_of(config, number, name)
        if name != train and directory in fold.data.pretrain:
            write_subset(recipe.data(name), recipe.data(directory), others, of_train, replace=True)
