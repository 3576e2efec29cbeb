"""The conditions of a scoring, and the check of the protocol that a config names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from v2skit.data.data_dir import Utterance, is_prepared, read_table
from v2skit.evaluation.protocol import NO_REFERENCE, Conditions, Protocol, Split, digest_of, load
from v2skit.evaluation.wer import NORMALISER
from v2skit.models import checkpoint
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.trained_on import known_directories, place_near, trained_on
from v2skit.registry.plugins import class_of


def protocol_of(recipe: Recipe) -> Protocol | None:
    """The protocol that the config names, if any. Raises UserError."""
    name = recipe.config.scoring.protocol
    return None if name is None else load(name)


def conditions(
    recipe: Recipe,
    metrics: dict[str, Any],
    asr: Any,
    utterances: Sequence[Utterance] | None = None,
    model: Path | None = None,
) -> Conditions:
    """What the scoring of an experiment is like.

    Args:
        recipe: the experiment.
        metrics: its metrics, by name.
        asr: its speech recogniser, or None.
        utterances: of the test set; None before it is prepared.
        model: that is evaluated; None: that of the recipe.
    """
    config = recipe.config
    return Conditions(
        split=None if utterances is None else _split(recipe, utterances, model),
        sample_rate=config.clock.sample_rate,
        metrics={column: metric.protocol for metric in metrics.values() for column in metric.higher_is_better},
        recogniser=asr.protocol if asr else None,
        normaliser=getattr(asr, "normaliser", NORMALISER),
        speaker_reference=getattr(class_of("speaker", config.networks.speaker), "reference", NO_REFERENCE),
        alignments=["none", "lag"] if config.scoring.aligned else ["none"],
    )


def _split(recipe: Recipe, utterances: Sequence[Utterance], model: Path | None) -> Split:
    data = recipe.config.data
    # Of a recipe's model, what its weights started from counts as far as it is here; the audit names the rest.
    start = place_near(str(model), "finetune") if model else checkpoint.best(recipe.exp / "finetune")
    training, unknown = known_directories(trained_on(start)) if start else ([], [])
    known = not unknown
    if model is None:
        training += [recipe.data(name) for name in dict.fromkeys([data.train, *data.pretrain])]
        known = is_prepared(recipe.data(data.train))
    talkers = {u.speaker for u in utterances}
    seen = {talker for path in training if is_prepared(path) for talker in read_table(path / "utt2spk").values()}
    unseen = False if talkers & seen else True if known else None
    return Split(digest_of(u.id for u in utterances), len(utterances), unseen)
