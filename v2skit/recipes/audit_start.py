"""The part of an audit that looks at the weights that the models of an experiment started from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from v2skit.data.data_dir import is_prepared, read_manifest
from v2skit.errors import UserError
from v2skit.hub.installed import is_installed
from v2skit.models.places import place_in
from v2skit.models.weights import place_of
from v2skit.recipes.findings import Audit
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.shared_clips import shared_clips
from v2skit.recipes.trained_on import TrainedOn, data_directories, start_of, trained_on


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
        directories, unknown = _directories(known)
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
    config, tasks = recipe.config, ["v2a"] if recipe.config.trains == "v2s" else ["vocoder"]
    if tasks == ["v2a"] and config.has_pretraining and not config.pretrained:
        tasks.append("a2a")
    starts = [start for task in tasks for start in start_of(config, task).items()]
    parts = [(name, part) for name, part in config.parts.items() if part.init]  # of all rows
    starts += [(f"parts.{name}.init", place_of(name, part, tasks[0])) for name, part in parts]
    named = {"pretrained": (config.pretrained, "pretrain"), "predictor": (config.predictor, "finetune")}
    named["vocoder.run"] = (config.vocoder.args.get("run"), "finetune")
    for key, (path, run) in named.items():
        if path is not None:
            starts.append((key, _place(recipe, path, run)))
    yield from dict.fromkeys((key, _place(recipe, place, "finetune")) for key, place in starts)


def _place(recipe: Recipe, named: str | Path, run: str) -> Path:
    """The place of a model, seen from the working directory or else from the recipe's folder; where there is none, its
    path."""
    places = [named] if isinstance(named, str) and is_installed(named) else [named, recipe.work_dir / named]
    for path in places:
        with suppress(UserError):
            return place_in(path, "name one that exists", run)
    return Path(named)


def _directories(known: TrainedOn) -> tuple[list[Path], list[str]]:
    """The data directories of a training that are here, and what is not."""
    directories: set[Path] = set()
    unknown = known.unknown | known.foreign
    for model, (folder, names) in known.models.items():
        here = data_directories(sorted(names), folder, model.resolve().parents)
        directories |= set(here.values())
        unknown |= {f"{name}, of {model}" for name in names - here.keys()}
    return sorted(directories), sorted(unknown)
