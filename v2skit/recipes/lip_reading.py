"""The hypotheses of heads that read lips, next to the transcripts of the test set."""

from __future__ import annotations

from v2skit.data.data_dir import Utterance
from v2skit.evaluation.lip_reading import Hypothesis, Readings
from v2skit.recipes import synth
from v2skit.recipes.recipe import Recipe
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.synthesis.lip_reading import read_hypotheses
from v2skit.synthesis.written import HYPOTHESES


def lip_readings(recipe: Recipe, rows: dict[str, synth.ResultsRow], utterances: list[Utterance]) -> Readings:
    """What the heads of a recipe's models read in the test set, for all rows that read lips.

    Raises:
        UserError: the hypotheses of a row are missing.
    """
    config, readings = recipe.config, {}
    names = [name for name, row in rows.items() if row.reads_lips]
    for head, choice in config.networks.heads.items():
        if names and hasattr(plugins.class_of("head", choice), "decode"):
            target = build("target", config.targets[choice.args["stream"]], clock=config.clock, mel=config.mel)
            references = {u.id: target.tokenizer.normalise(u.text or "") for u in utterances}
            readings[head] = {
                name: [
                    Hypothesis(key, text, references.get(key, ""))
                    for key, text in read_hypotheses(synth.folder(recipe, name) / f"{head}{HYPOTHESES}").items()
                ]
                for name in names
            }
    return readings
