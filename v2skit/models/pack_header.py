"""The header of a packed model: what describes the file, checked as a config is."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from v2skit.config.check import check
from v2skit.config.messages import shortened
from v2skit.config.yaml_tree import parse_yaml
from v2skit.errors import UserError, nearest
from v2skit.models.checkpoint import Meta
from v2skit.registry import direct
from v2skit.system.state_file import check_permission, parse_state, read_state
from v2skit.version import __version__

KEY, FORMAT = "v2skit", 4
"""Since format 2 the digests are those of the tensors in the pack; before, they identified files that are not in it.
Since format 3 a pack may have a default voice and float16 weights, and its card what the model was made for, its limits
and credits. Since format 4 it may have int8 weights with scales, see :mod:`v2skit.models.pack_weights`."""
VOICE = "voice"
ADDED = ("data", "limits", "notes", "credits")
"""Fields of a card to which those of further files are added; the others are replaced."""
REMEDY = "fetch or pack it again"
MAX_VERSION = 40
"""Characters of a version that an error shows."""
BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
PLUGIN = "make a plug-in package of it (docs/plugins.md), train with that and pack again"


@dataclass(frozen=True)
class Card:
    """The model card: what a person should know about a model before using it.

    Args:
        name: of the model.
        data: what it was trained on.
        licence: under which it may be used.
        notes: anything else, such as whose voices these are.
        made_for: the speech that it synthesises and the videos that it accepts, in one line.
        limits: what it can't do.
        credits: authors and licences of what it was trained on, whose attribution goes with the model.
    """

    name: str = ""
    data: str = ""
    licence: str = ""
    notes: str = ""
    made_for: str = ""
    limits: str = ""
    credits: list[str] = field(default_factory=list)

    @property
    def headline(self) -> str:
        """Which model this is and what it was made for, in one line; empty where the card does not say for what."""
        return printable_lines(" ".join(f"{self.name}: {self.made_for}".split())) if self.made_for else ""

    def lines(self) -> list[str]:
        """All but the name, for people."""
        facts = {"made for": self.made_for, "limits": self.limits, "data": self.data, "licence": self.licence}
        facts |= {"credits": "\n".join(self.credits), "notes": self.notes}
        lines = []
        for key, text in facts.items():
            first, *more = (text or "not stated").splitlines()
            lines += [f"{key + ':':10} {first}", *(f"{'':10} {line}" for line in more)]
        return lines


def with_credits(card: Card, starts: Iterable[Card]) -> Card:
    """A card with the names, licences and credits of the models that a model was made with."""
    found = list(card.credits)
    for start in starts:
        licence = f", licence {start.licence}" if start.licence else ""
        found += [f"made with {start.name}{licence}", *start.credits]
    return replace(card, credits=list(dict.fromkeys(found)))


@dataclass(frozen=True)
class Header:
    """The description in a pack.

    Args:
        format: a pack of a later format can't be read.
        v2skit: the version that packed it.
        card: for people.
        meta: of the parts ``model`` and perhaps ``vocoder`` and ``predictor``.
        digest: of the weights of the parts, and of the voices.
        vocoder: type and arguments; None where the model outputs waveforms.
        voices: names of the packed voices.
        default_voice: the one of these, or of a speaker table, that is used where none is named.
        scores: on its own test set.
    """

    format: int
    v2skit: str
    card: Card
    meta: dict[str, Meta]
    digest: dict[str, str]
    vocoder: dict | None = None
    voices: list[str] = field(default_factory=list)
    default_voice: str | None = None
    scores: dict | None = None

    def __post_init__(self) -> None:
        if self.format < 1:
            raise UserError(f"there is no format {self.format}", key="format")
        parts = {"model", *self.meta}
        missing = parts - self.meta.keys() or (parts | ({VOICE} if self.format >= 2 else set())) - self.digest.keys()
        if missing:
            raise UserError(f"there is no description or no digest of '{min(missing)}'")


def read_header(path: Path) -> Header:
    """The description in a pack, read without its weights. Raises UserError where it is no pack, or a newer one."""
    if not path.exists():
        raise UserError(
            f"{path} does not exist; give a packed model, which v2skit pack makes{nearest(path)}", path=path
        )
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a packed model; v2skit pack {path} -o model.v2s makes one")
    check_permission(path)
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {})[KEY]
        tree = parse_state(text, path, REMEDY)
        if isinstance(tree.get("format"), int) and tree["format"] > FORMAT:
            raise newer_file(path, "packed", tree)
        header = check(tree, Header, "its header")
    except UserError as error:
        if error.fields.get("path") == path:
            raise
        raise _no_model(path, error) from error
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise _no_model(path, error) from error
    check_runs_no_code(path, *(meta.config for meta in header.meta.values()), {"vocoder": header.vocoder})
    return header


def newer_file(path: Path, made: str, tree: Mapping[str, Any]) -> UserError:
    """The error of a file in a later format, which states its version: ``packed`` or ``exported``."""
    stated = tree.get("v2skit")
    version = (
        " ".join(printable_lines(stated[:MAX_VERSION]).split()) if isinstance(stated, str) else "of a later format"
    )
    return UserError.about(path, f"was {made} by v2skit {version}, this is {__version__}; install that one or newer")


def check_writable(header: dict[str, Any], path: Path) -> None:
    """Raises UserError where a header, as it is to be packed in a file, would not be read again."""
    try:
        check(header, Header, f"{path} is not written, since it could not be read")
    except UserError as error:
        shown: Any = header
        for key in error.fields.get("key", "").split("."):
            with suppress(KeyError, TypeError, ValueError, IndexError):
                shown = shown[int(key) if isinstance(shown, list) else key]
        text = f": {shortened(shown)}" if isinstance(shown, str) else ""
        raise UserError(f"{error}{text}", **error.fields) from error


def check_runs_no_code(path: Path, *configs: dict) -> None:
    """Raises UserError where stored configs in a file name code that is neither v2skit's nor an installed plug-in's."""
    codes = [code for config in configs for code in own_code(config)]
    if codes:
        raise UserError.about(path, f"needs {codes[0]}, and a pack runs only v2skit and installed plug-ins; {PLUGIN}")


def read_card(*paths: Path, **given: str) -> Card:
    """A model card from YAML files with its fields.

    Args:
        paths: of the files. The ``data``, ``limits``, ``notes`` and ``credits`` of a file are added to those of the
            files before; its other fields replace theirs, unless they are empty.
        given: fields that replace those of the files, unless they are empty.

    Raises:
        UserError: one can't be read, or has an unknown field.
    """
    values: dict[str, Any] = {}
    for card in map(_card_of, paths):
        for name, value in _stated(vars(card)).items():
            before = values.get(name) if name in ADDED else None
            if before is None:
                values[name] = value
            else:
                values[name] = [*before, *value] if isinstance(value, list) else f"{before}\n{value}"
    return Card(**values | _stated(given))


def _stated(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value}


def _card_of(path: Path) -> Card:
    tree = read_state(path, "give a YAML file with the fields of a card", lambda text: parse_yaml(text, str(path)))
    if tree is None:
        raise UserError.about(path, "does not exist; give the YAML file of a card, such as egs/grid/card.yaml")
    return check(tree, Card, str(path))


def printable_lines(text: str) -> str:
    """The text of a header without what a terminal would interpret, control characters and those that reverse text;
    every kind of space is a plain one."""
    return "".join(map(_printable, text))


def _printable(character: str) -> str:
    kind = unicodedata.category(character)
    if kind.startswith("Z") or character == "\t":
        return " "
    controls = (kind in ("Cc", "Cs") and character != "\n") or character in BIDI_CONTROLS
    return "?" if controls else character


def own_code(config: dict) -> list[str]:
    """What a stored config names and no pack runs: plug-in files, and classes that no plug-in registers."""
    stored = config.get("plugins") or []
    files = stored if isinstance(stored, list) else [stored]
    names = (file.get("name") if isinstance(file, dict) else file for file in files)
    return [*(f"the plug-in file {name}" for name in names), *direct.paths(config)]


def _no_model(path: Path, reason: object) -> UserError:
    return UserError(f"{path} is no v2skit model, or is damaged ({reason}); give another file, or {REMEDY}", path=path)
