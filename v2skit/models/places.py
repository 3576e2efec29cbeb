"""Trained models by what names them: the path of a checkpoint, of a run with some, of an experiment or of a pack, or
the address of a pack on a hub. The place of a model is its checkpoint or its pack."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from v2skit.hub.address import is_address
from v2skit.hub.fetch import local_path
from v2skit.hub.installed import is_installed
from v2skit.models import checkpoint
from v2skit.models.checkpoint import Checkpoint, Meta
from v2skit.models.pack_header import read_header
from v2skit.models.pack_parts import read_part


def place_in(named: str | Path, remedy: str, run: str = "finetune") -> Path:
    """The place of a model.

    Args:
        named: path or address.
        remedy: for the error where there is no model.
        run: name of the run that is meant in an experiment.

    Raises:
        UserError: there is no model, or it can't be fetched.
    """
    path = local_path(named)
    return path if path.is_file() else checkpoint.folder_in(path, remedy, run)


def seen_from(named: str, near: Iterable[Path]) -> str:
    """What names a model in a config; where it is a relative path, seen from the first of some folders that has it."""
    path = Path(named)
    if is_installed(named) or is_address(named) or path.is_absolute():
        return named
    return next((str(above / path) for above in near if (above / path).exists()), named)


def meta_in(place: Path) -> Meta:
    """The description of the model in a place; of the V2A model in a pack. Raises UserError where it can't be read."""
    if not place.is_file():
        return checkpoint.read_meta(place)
    header = read_header(place)
    return replace(header.meta["model"], digest=header.digest["model"])


def digest_in(place: Path) -> str:
    """The digest of the model in a place, as :func:`meta_in`."""
    return meta_in(place).digest if place.is_file() else checkpoint.digest(place)


def open_model(named: str | Path, part: str, remedy: str, run: str = "finetune") -> Checkpoint:
    """A model with its weights, ``part`` being that of a pack; the other arguments are those of :func:`place_in`.
    Raises UserError where there is none, or it is damaged or lacks the part."""
    place = place_in(named, remedy, run)
    return read_part(place, part) if place.is_file() else checkpoint.load(place)
