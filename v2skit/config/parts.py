"""The sections ``parts`` and ``transfer`` of a config: how parts of a model start, and how they are trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from v2skit.config.limits import check_range
from v2skit.errors import UserError, suggestion

_MODEL = ("speaker", "encoder", "decoder", "heads")
PARTS: dict[str, tuple[str, ...]] = {
    "a2a": ("audio_frontend", *_MODEL),
    "v2a": ("visual_frontend", *_MODEL),
    "vocoder": ("generator",),
}
"""Task -> the names that a config has for the parts of its model."""

HEADS = "heads"
WHOLE = "model"
"""In ``parts`` of a config file, all parts of its model."""
_FRONTENDS = ("audio_frontend", "visual_frontend")


@dataclass(frozen=True)
class PartTransfer:
    """Training of a part that is transferred from A2A to V2A, in fine-tuning.

    Args:
        frozen_steps: number of the first steps in which it is frozen; null: all.
        learning_rate_factor: factor of its learning rate after these.
        frozen: ``weights``: its batch statistics are updated, and dropout is active; ``all``: it is in evaluation
            mode, with the statistics of the other modality where it has none of its own; ``none``: it is not frozen.

    Raises:
        UserError: a number is out of range, or only one of ``frozen`` and ``frozen_steps`` freezes the part.
    """

    frozen_steps: int | None = 0
    learning_rate_factor: float = 1.0
    frozen: Literal["none", "weights", "all"] = "weights"

    def __post_init__(self) -> None:
        check_range(self, frozen_steps=(0, 1e12), learning_rate_factor=(0, 1e6))
        if self.frozen == "none" and self.frozen_steps:
            message = f"frozen_steps {self.frozen_steps} without frozen; add frozen: weights or frozen: all"
            raise UserError(message, key="frozen_steps")
        if self.frozen == "all" and self.frozen_steps == 0:
            message = "frozen: all with frozen_steps 0 freezes nothing; give a number of steps as frozen_steps, or null"
            raise UserError(f"{message} for all steps", key="frozen")

    def is_frozen(self, step: int) -> bool:
        """Whether the part is frozen after this number of steps."""
        return self.frozen != "none" and (self.frozen_steps is None or step < self.frozen_steps)


@dataclass(frozen=True)
class Part(PartTransfer):
    """Initial weights and training of a part, in every run whose model has it.

    Args:
        frozen_steps: as for a transferred part.
        learning_rate_factor: as for a transferred part.
        frozen: as for a transferred part.
        init: file or folder with its initial weights, relative to the working directory: a checkpoint, a run, an
            experiment (of which the run of the same task is taken, if there is one), a pack (also its address,
            ``hf://owner/name``), or a bare state dict (``.safetensors``, or a file of torch with tensors only). Null:
            the weights are random, or in fine-tuning those that are transferred; ``init`` has no effect there on a part
            that is transferred.
        init_part: name of the part in that file; null: the same.
        init_prefix: beginning of names in the file -> beginning of names in the part, for files with names of their
            own, such as ``{module.decoder.: ""}``; its other tensors are left out. Null: those of ``init_part``.
        init_strict: refuse the file if a tensor of the part can't be copied, or it has another frame rate, or other
            mel settings or targets that the part depends on.

    Raises:
        UserError: a number is out of range, or the settings do not fit together.
    """

    frozen_steps: int | None = None
    frozen: Literal["none", "weights", "all"] = "none"
    init: str | None = None
    init_part: str | None = None
    init_prefix: dict[str, str] | None = None
    init_strict: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.init is not None and not self.init.strip():
            raise UserError("init: expected a path, not empty text; for random weights, write null", key="init")
        for key in ("init_part", "init_prefix"):
            if getattr(self, key) is not None and self.init is None:
                raise UserError(f"{key} without init; name the file with the weights as init", key=key)
        if self.init_prefix is not None and (self.init_part is not None or not self.init_prefix):
            message = "init_prefix: expected beginnings of names, without init_part; leave one of the two out"
            raise UserError(message, key="init_prefix")


def spread(tree: dict, origins: dict[str, str]) -> dict:
    """A config's tree in which the entry ``model`` of ``parts`` is given to each part of the V2A model, or of the
    vocoder; what such a part has in an entry of its own comes first. Parts that have no weights by the config, no
    speaker embedding or no heads, get none.

    Args:
        tree: not checked yet.
        origins: of its keys; those of the new ones are added.
    """
    parts, networks = tree.get("parts"), tree.get("networks")
    if not isinstance(parts, dict) or not isinstance(parts.get(WHOLE), dict):
        return tree
    without = _without_weights(networks) if isinstance(networks, dict) else ()
    names = PARTS["vocoder" if tree.get("trains") == "vocoder" else "v2a"]
    own = {name: part for name, part in parts.items() if name != WHOLE and (part is not None or name not in names)}
    for name in names:
        given = parts.get(name, {})
        if name in without or not isinstance(given, dict):
            continue
        # How its weights are named in one file does not hold for another one.
        taken = {key for key in parts[WHOLE] if not ("init" in given and key in ("init_part", "init_prefix"))}
        for key in taken - given.keys():
            place = f"parts.{WHOLE}.{key}"
            origins |= {f"parts.{name}.{key}": origins[place]} if place in origins else {}
        own[name] = {**{key: parts[WHOLE][key] for key in taken}, **given}
    return {**tree, "parts": own}


def _without_weights(networks: dict[str, Any]) -> set[str]:
    speaker, heads = networks.get("speaker"), networks.get(HEADS)
    no_speaker = isinstance(speaker, dict) and speaker.get("type") == "none"
    has_heads = isinstance(heads, dict) and any(head is not None for head in heads.values())
    return {*(["speaker"] if no_speaker else []), *([] if has_heads else [HEADS])}


def model_name(part: str) -> str:
    """The name of a config's part in its model: both frontends are ``frontend``, their parts ``frontend.NAME``."""
    whole, dot, name = part.partition(".")
    return f"frontend{dot}{name}" if whole in _FRONTENDS else part


def parts_of(task: str, parts: Mapping[str, Part], transferred: Mapping[str, PartTransfer] = {}) -> dict[str, Part]:
    """The settings of a run's parts.

    Args:
        task: of the run, a key of PARTS.
        parts: section ``parts`` of the config.
        transferred: section ``transfer``, for a run whose weights are transferred.
    """
    found = {name: part for name, part in parts.items() if _whole(name) in PARTS[task]}
    for name, training in transferred.items():
        if training != PartTransfer() or name not in found:
            found[name] = replace(found.get(name, Part()), **vars(training))
    for name in [name for name in found if _whole(name) in transferred]:
        training = transferred[_whole(name)]
        given = {} if training == PartTransfer() else vars(training)  # also to each of the heads
        found[name] = replace(found[name], init=None, init_part=None, init_prefix=None, **given)
    return found


def _whole(name: str) -> str:
    """The part that a part belongs to: ``heads`` of ``heads.NAME``."""
    return name.partition(".")[0]


def check_parts(
    trains: str, parts: Mapping[str, Part], transfer: Mapping[str, PartTransfer], pretrained: bool, heads: Iterable[str]
) -> None:
    """Raises UserError where the sections name a part that no run has, or contradict each other.

    Args:
        trains: ``v2s`` or ``vocoder``.
        parts: section ``parts``.
        transfer: section ``transfer``.
        pretrained: a pre-trained model is given, so that none is pre-trained.
        heads: names of the config's heads.
    """
    tasks = ("a2a", "v2a") if trains == "v2s" else ("vocoder",)
    heads = [f"{HEADS}.{name}" for name in heads]
    known = sorted({name for task in tasks for name in PARTS[task] if name != HEADS or heads}) + heads
    for name, part in parts.items():
        key = f"parts.{name}"
        within = name != _whole(name) in _FRONTENDS  # whether it has this part is known when the model is built
        if name not in known and not (within and _whole(name) in known):
            raise UserError(f"{key}: no such part{suggestion(name, known)}", key=key)
        if pretrained and trains == "v2s" and name not in PARTS["v2a"] and _whole(name) == name:
            raise UserError(f"{key}: with pretrained, no model with this part is trained; leave it out", key=key)
        training = {field.name: getattr(part, field.name) for field in fields(PartTransfer)}
        theirs = transfer.get(_whole(name), PartTransfer())
        if theirs != PartTransfer() and any(value != getattr(Part(), k) for k, value in training.items()):
            rule = f"both transfer.{_whole(name)} and {key} have settings of its training; give them in one of the two"
            raise UserError(f"{key}: {rule}", key=key)
