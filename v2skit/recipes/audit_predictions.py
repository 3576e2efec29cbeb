"""The part of an audit that looks at the synthesised speech that AV2A was trained on."""

from __future__ import annotations

from v2skit.data.data_dir import is_prepared, read_manifest
from v2skit.models import checkpoint
from v2skit.recipes.findings import Audit
from v2skit.recipes.folds import fold_recipes, held_out
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.shared_clips import shared_clips
from v2skit.recipes.trained_on import trained_on


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
    leaks, unknown, foreign = [], set(), set()
    for number, fold in enumerate(fold_recipes(recipe)):
        ours = held_out(recipe, number)
        model = trained_on(checkpoint.folder_in(fold.exp / "finetune", "stage 4 makes it"))
        foreign |= model.foreign
        unknown |= model.unknown
        for directory in map(recipe.data, sorted(model.directories)):
            if is_prepared(directory):
                leaks += [clip.id for clip in shared_clips(ours, read_manifest(directory))]
            else:
                unknown.add(str(directory))
    if leaks:
        text = f"{len(leaks)} clips of {train}, e.g. {leaks[0]}, got speech of a model that was trained on them"
        remedy = "name a predictor that does not start from weights trained on them, and repeat stage 4 with --force"
        found.find("predictions", f"{text}; {remedy}")
    if unknown:
        text = f"whether the clips of {train} got speech of a model that was trained on them can't be checked"
        missing = f"{', '.join(sorted(unknown))} can't be read, and the model was trained on or starts from it"
        found.find("predictions", f"{text}, since {missing}; restore it, or repeat stages 1 to 4")
    if foreign:
        text = f"what {', '.join(sorted(foreign))} was trained on is not known: bare weights, from which the models"
        found.checked.append(f"{text} that predict for {train} start")
    if not leaks and not unknown:
        count = f"{config.predictor_folds} models, none of which was trained on the clip"
        found.checked.append(f"the speech that each clip of {train} got is of one of {count}")
