"""The data that a model knows: those of its own training, and of the runs whose weights it or its losses start from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from v2skit.config.load import to_tree
from v2skit.config.parts import parts_of
from v2skit.config.schema import Config
from v2skit.data.data_dir import is_prepared
from v2skit.errors import UserError
from v2skit.hub.address import SUFFIX
from v2skit.models import checkpoint
from v2skit.models.checkpoint import Meta
from v2skit.models.places import meta_in, place_in, seen_from
from v2skit.models.weights import place_of


@dataclass
class TrainedOn:
    """What a model was trained on.

    Args:
        directories: names of data directories.
        models: each model among these runs -> its data folder, and the names of its data directories in it.
        foreign: files of bare weights, which do not say what they were trained on.
        missing: runs and files that are gone or can't be read.
        named: those that a pack names: a path of where it was trained may lead to something else here.
    """

    directories: set[str] = field(default_factory=set)
    models: dict[Path, tuple[str, set[str]]] = field(default_factory=dict, compare=False)
    foreign: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    named: set[str] = field(default_factory=set)

    @property
    def unknown(self) -> set[str]:
        """All runs and files that may have been trained on more, which is not known."""
        return self.missing | self.named


def trained_on(place: Path) -> TrainedOn:
    """What a checkpoint or a pack was trained on, by its config and those of the models that it starts from."""
    found, seen, places = TrainedOn(), set(), [place]
    while places:
        place = places.pop()
        if place.resolve() in seen:
            continue
        seen.add(place.resolve())
        if place.is_file() and place.suffix != SUFFIX:
            found.foreign.add(str(place))
            continue
        try:
            meta = meta_in(place)
            config = checkpoint.config_of(meta)
        except UserError:
            found.missing.add(str(place))
            continue
        data = config.data
        names = {*([data.train] if meta.task != "a2a" else []), *(data.pretrain if meta.task != "v2a" else [])}
        scratch = meta.task == "v2a" and place.is_dir() and place.parent.name == "scratch"
        if scratch and config.has_pretraining:  # from init also where others have transferred weights
            config = replace(config, transfer={})
        elif scratch:  # from random weights
            config = replace(config, parts={})
        # The recipe's folder is one of these. Only then the working directory, which may be that of another recipe.
        near = [] if place.is_file() else [*place.resolve().parents, Path()]
        starts = list(start_of(config, meta.task, near).values())
        starts += [] if scratch else _pretraining(place, meta, config, near)
        if place.is_file():
            if meta.task == "v2a" and config.transfer and not config.pretrained:
                names |= set(data.pretrain)
            # What it names by an address of a hub is an absolute path by now; of others it has no absolute path.
            found.named |= {f"{start}, which {place} names," for start in starts if not start.is_absolute()}
            starts = [start for start in starts if start.is_absolute()]
        found.directories |= names
        found.models[place] = (data.folder, names)
        places += starts
    return found


def known_directories(known: TrainedOn) -> tuple[list[Path], list[str]]:
    """The data directories of a training that are here, and what is not."""
    directories: set[Path] = set()
    unknown = known.unknown | known.foreign
    for model, (folder, names) in known.models.items():
        here = data_directories(sorted(names), folder, model.resolve().parents)
        directories |= set(here.values())
        # What lies near a pack may have the names of what it was trained on elsewhere.
        unknown |= {f"{name}, of {model}" for name in names if name not in here or model.is_file()}
    return sorted(directories), sorted(unknown)


def data_directories(names: Iterable[str], folder: str, near: Iterable[Path]) -> dict[str, Path]:
    """The prepared data directories of a training that are there, by name.

    Args:
        names: of the data directories.
        folder: which they are in, relative to a recipe's folder. A model does not record that.
        near: where the recipe's folder may be; the first that has one of them is taken.
    """
    for above in near:
        found = {name: place for name in names if is_prepared(place := above / folder / name)}
        if found:
            return found
    return {}


def start_of(config: Config, task: str, near: Sequence[Path] = ()) -> dict[str, Path]:
    """The checkpoints and files that a run starts from, other than its pre-training, or that its losses, or in
    synthesis its inputs, are of: key of the config -> place; where there is none, the path that the config names.

    Args:
        config: of the run.
        task: of its model.
        near: folders in which relative paths are sought, instead of the working directory.
    """
    found = {}
    for name, part in parts_of(task, config.parts, config.transfer if task == "v2a" else {}).items():
        if part.init:
            found[f"parts.{name}.init"] = place_of(name, replace(part, init=seen_from(part.init, near)), task)
    found |= {key: place_near(run, "pretrain", near) for key, run in _runs(to_tree(config.losses), "losses")}
    if task == "v2a" and config.predictor:
        found["predictor"] = place_near(config.predictor, "finetune", near)
    return found


def _pretraining(place: Path, meta: Meta, config: Config, near: Sequence[Path]) -> Iterator[Path]:
    """The A2A checkpoint that a V2A model's weights were transferred from, or the vocoder that was fine-tuned."""
    if config.pretrained and meta.task in ("vocoder", "v2a"):
        yield place_near(config.pretrained, "pretrain", near)
    elif meta.task == "v2a" and config.has_pretraining and not place.is_file():
        yield place_near(str(place.parent.parent / "pretrain"), "pretrain")


def place_near(named: str, run: str, near: Sequence[Path] = ()) -> Path:
    """The place of a model by what names it, with folders as for :func:`start_of`; where there is none, its path."""
    try:
        return place_in(seen_from(named, near), "train it", run)
    except UserError:
        return Path(named)


def _runs(tree: Any, key: str) -> Iterator[tuple[str, str]]:
    """The arguments ``run`` of components at any depth: key -> path."""
    for name, value in tree.items() if isinstance(tree, dict) else ():
        if name == "run" and isinstance(value, str):
            yield f"{key}.run", value
        yield from _runs(value, f"{key}.{name}")
