"""The part of an audit that looks at the synthesised speech that AV2A was trained on."""

from __future__ import annotations

from pathlib import Path

from v2skit.data.data_dir import Utterance, is_prepared, read_manifest
from v2skit.models import checkpoint
from v2skit.recipes.findings import Audit
from v2skit.recipes.folds import fold_recipes, held_out
from v2skit.recipes.recipe import Recipe


def audit_predictions(recipe: Recipe, found: Audit) -> None:
    """Whether the speech that a training clip got is of a model that was trained on other clips: one that was trained
    on it synthesises it better than it does a test clip, and AV2A would rely on that.

    Raises:
        UserError: the models of the folds are missing, or can't be read.
    """
    config, train = recipe.config, recipe.config.data.train
    if config.predictor is None or config.trains != "v2s":
        return
    if not config.predictor_folds:
        text = f"the speech that the clips of {train} got is of {config.predictor}, which was trained on them"
        found.find("predictions", f"{text}; --set predictor_folds=4, and repeat stage 4")
        return
    leaks = []
    for number, fold in enumerate(fold_recipes(recipe)):
        ours = {key for clip in held_out(recipe, number) for key in _keys(clip)}
        for name in _trained_on(fold):
            theirs = read_manifest(recipe.data(name)) if is_prepared(recipe.data(name)) else []
            leaks += [clip.id for clip in theirs if ours & _keys(clip)]
    if leaks:
        text = f"{len(leaks)} clips of {train}, e.g. {leaks[0]}, got speech of a model that was trained on them"
        found.find("predictions", f"{text}; repeat stage 4 with --force")
    else:
        count = f"{config.predictor_folds} models, none of which was trained on the clip"
        found.checked.append(f"the speech that each clip of {train} got is of one of {count}")


def _trained_on(fold: Recipe) -> set[str]:
    """The data directories that the model of a fold was trained on, by the configs of its checkpoints."""
    last = checkpoint.folder_in(fold.exp / "finetune", "stage 4 makes it")
    first = checkpoint.folder_in(Path(fold.config.pretrained or fold.exp), "stage 2 makes it", "pretrain")
    tuned, pretrained = (checkpoint.config_of(checkpoint.read_meta(folder)).data for folder in (last, first))
    return {tuned.train, *pretrained.pretrain}


def _keys(clip: Utterance) -> set[object]:
    """What two data directories have in common where they have the same clip."""
    return {clip.id, *(path.resolve() for path in (clip.audio, clip.video) if path)}
