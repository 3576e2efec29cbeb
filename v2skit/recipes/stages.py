"""The stages of a recipe: each reads what the ones before it wrote, and says where its output is."""

from __future__ import annotations

from v2skit.recipes import data, speech, vocoder
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.score import score

EXPERIMENTS = {"v2s": speech, "vocoder": vocoder}
"""What an experiment trains (``trains:`` in its config) -> the module with its stages."""
NAMES = ("obtain", "prepare", "pretrain", "transfer", "finetune", "synth", "score")

TRAIN = ("pretrain", "finetune")
"""Those that several processes can do together."""


def run(name: str, recipe: Recipe) -> None:
    """Do one stage. Raises UserError."""
    experiment = EXPERIMENTS[recipe.config.trains]
    if name == "score":
        return score(recipe, experiment.rows(recipe), experiment.PAIRS)
    getattr(data if name in ("obtain", "prepare") else experiment, name)(recipe)
