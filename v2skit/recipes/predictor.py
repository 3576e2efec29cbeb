"""The predictor of a recipe: a finished V2A model whose output is the input of what is trained."""

from __future__ import annotations

from pathlib import Path

from v2skit.config.schema import Config
from v2skit.models import checkpoint
from v2skit.models.model import Model
from v2skit.models.places import place_in
from v2skit.models.predictor import check_predictor
from v2skit.recipes import targets
from v2skit.recipes.recipe import Recipe
from v2skit.synthesis.synthesiser import load_model


def predictor_place(recipe: Recipe) -> Path:
    """The checkpoint or pack that ``predictor`` of the config leads to. Raises UserError where there is none."""
    return place_in(recipe.config.predictor or "", "predictor: stage 4 of conf/mel.yaml makes it")


def load_predictor(recipe: Recipe, place: Path) -> tuple[Config, Model, checkpoint.Meta]:
    """A predictor, frozen and on the recipe's device: its config, it, and the description of its checkpoint.

    Args:
        recipe: of the experiment that it predicts for.
        place: its checkpoint or pack.

    Raises:
        UserError: it can't be read, is not V2A, or has another mel or crop or other units.
    """
    theirs, model, meta, _ = load_model(place, "v2a")
    check_predictor(recipe.config, targets.load(recipe), theirs, meta, f"predictor {place}")
    return theirs, model.requires_grad_(False).to(recipe.device), meta
