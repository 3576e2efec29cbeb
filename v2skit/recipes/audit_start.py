"""The part of an audit that looks at the weights that the model of an experiment started from."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from v2skit.models.places import place_in
from v2skit.recipes.findings import Audit
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.shared_clips import overlapping
from v2skit.recipes.trained_on import start_of, trained_on


def audit_start(recipe: Recipe, found: Audit) -> None:
    """Whether models that the experiment starts from, or that its losses or inputs are of, were trained on test clips.

    Raises:
        UserError: a data directory is incomplete.
    """
    config, test = recipe.config, recipe.config.data.test
    starts = start_of(config, "v2a" if config.trains == "v2s" else "vocoder")
    if config.pretrained:
        starts["pretrained"] = place_in(config.pretrained, "name one that exists", "pretrain")
    keys: dict[Path, list[str]] = defaultdict(list)
    for key, place in starts.items():
        keys[place].append(key)
    for place, names in keys.items():
        known, key = trained_on(place), ", ".join(sorted(names))
        if directories := overlapping(recipe, test, known.directories):
            text = f"{key}: {place} was trained on {min(directories)}, which has clips of {test}"
            found.find("start", f"{text}; name weights that were trained without them, and repeat the training")
        elif place.is_file() or known.unknown or known.foreign:
            text = f"whether {place} ({key}) was trained on clips of {test} is not known"
            found.checked.append(f"{text}: its data are not described here, perhaps in its card (v2skit info)")
        else:
            found.checked.append(f"{place} ({key}) was not trained on clips of {test}")
