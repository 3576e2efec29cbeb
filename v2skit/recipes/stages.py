"""The seven stages of a recipe. Each reads what the stages before it wrote; one that is finished is skipped."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from v2skit.recipes import data, v2s, vocoder
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.score import score
from v2skit.recipes.subsets import check_test_data
from v2skit.recipes.synth import ResultsRow, synth
from v2skit.recipes.targets import check_tempos
from v2skit.registry import plugins


class Experiment(Protocol):
    """What the modules of EXPERIMENTS provide."""

    PAIRS: tuple[tuple[str, str], ...]
    """Rows of the results whose paired difference is reported."""

    def pretrain(self, recipe: Recipe) -> str | None:
        """Stage 2. As in every stage, a returned text names the stage that follows, where it is not the next one."""

    def transfer(self, recipe: Recipe) -> str | None:
        """Stage 3."""

    def finetune(self, recipe: Recipe) -> str | None:
        """Stage 4."""

    def rows(self, recipe: Recipe) -> dict[str, ResultsRow]:
        """The rows of the results, for stages 5 and 6."""


EXPERIMENTS: dict[str, Experiment] = {"v2s": v2s, "vocoder": vocoder}
"""What an experiment trains (``trains:`` in its config) -> the module with its stages."""


def experiment(recipe: Recipe) -> Experiment:
    """The module with the stages that depend on what is trained."""
    return EXPERIMENTS[recipe.config.trains]


class Stage(NamedTuple):
    """A stage: its title, and its function."""

    title: str
    run: Callable[[Recipe], str | None]


STAGES = {
    "obtain": Stage("corpus", data.obtain),
    "prepare": Stage("preparation", data.prepare),
    "pretrain": Stage("audio pre-training", lambda recipe: experiment(recipe).pretrain(recipe)),
    "transfer": Stage("decoder transfer", lambda recipe: experiment(recipe).transfer(recipe)),
    "finetune": Stage("V2S fine-tuning", lambda recipe: experiment(recipe).finetune(recipe)),
    "synth": Stage("synthesis", lambda recipe: synth(recipe, experiment(recipe).rows(recipe))),
    "score": Stage("scoring", lambda recipe: score(recipe, experiment(recipe).rows(recipe), experiment(recipe).PAIRS)),
}
"""In order: stage 0 is ``obtain``, stage 6 ``score``."""

TRAIN = ("pretrain", "finetune")
"""Those in which several processes train together."""


def run(name: str, recipe: Recipe) -> None:
    """Run one stage, and print which one follows. Raises UserError."""
    names = list(STAGES)
    number = names.index(name) + 1
    with plugins.using(recipe.config.plugins):
        check_tempos(recipe.config)
        check_test_data(recipe.test)  # now, not after all the training
        follows = STAGES[name].run(recipe)
    if number < len(names):
        print(f"next: stage {follows or f'{number} ({STAGES[names[number]].title})'}")
