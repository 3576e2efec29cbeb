"""The part of an audit that looks at the weights that the models of an experiment started from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from v2skit.data.data_dir import is_prepared, read_manifest
from v2skit.recipes.findings import Audit
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.shared_clips import shared_clips
from v2skit.recipes.trained_on import known_directories, place_near, start_of, trained_on


def audit_start(recipe: Recipe, found: Audit) -> None:
    """Whether models that the experiment starts from, or that its losses, inputs and vocoder are of, were trained on
    test clips.

    Raises:
        UserError: a data directory is incomplete.
    """
    test = recipe.config.data.test
    clips = read_manifest(recipe.test) if is_prepared(recipe.test) else []
    keys: dict[Path, list[str]] = defaultdict(list)
    for key, place in _starts(recipe):
        keys[place].append(key)
    for place, names in keys.items():
        known, what = trained_on(place), f"{place} ({', '.join(sorted(set(names)))})"
        directories, unknown = known_directories(known)
        leaks = [directory for directory in directories if shared_clips(clips, read_manifest(directory))]
        if leaks:
            text = f"{what} was trained on {leaks[0]}, which has clips of {test}, by name or by file"
            found.find("start", f"{text}; name weights that were trained without them, and repeat the training")
        elif unknown:
            lacking = "; ".join(text.rstrip(",") for text in unknown)
            text = f"whether {what} was trained on clips of {test} is not known; not here: {lacking}"
            found.checked.append(text + ("; v2skit info prints the card of the pack" if place.is_file() else ""))
        else:
            found.checked.append(f"{what} was not trained on clips of {test}")


def _starts(recipe: Recipe) -> Iterator[tuple[str, Path]]:
    """Keys of the config and the places that they lead to, from the working directory or the recipe's folder."""
    config, near = recipe.config, [Path(), recipe.work_dir]
    task = "v2a" if config.trains == "v2s" else "vocoder"
    yield from start_of(config, task, near).items()
    if task == "v2a" and config.has_pretraining and not config.pretrained:
        yield from start_of(config, "a2a", near).items()
    if config.scratch and config.has_pretraining:  # that row starts from init where others have transferred weights
        yield from start_of(replace(config, transfer={}), task, near).items()
    vocoder = config.vocoder.args.get("run")
    named = {"pretrained": (config.pretrained, "pretrain"), "predictor": (config.predictor, "finetune")}
    for key, (path, run) in {**named, "vocoder.run": (vocoder, "finetune")}.items():
        if path is not None:
            yield key, place_near(path, run, near)
