"""The header of a packed model: what describes the file, checked as a config is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open

from v2skit.config.check import check
from v2skit.errors import UserError
from v2skit.models.checkpoint import Meta
from v2skit.registry import direct
from v2skit.system.state_file import parse_state
from v2skit.version import __version__

KEY, FORMAT = "v2skit", 3
"""Since format 2 the digests are those of the tensors in the pack; before, they identified files that are not in it.
Since format 3 a pack may have a default voice."""
VOICE = "voice"
REMEDY = "fetch or pack it again"
PLUGIN = "make a plug-in package of it (docs/plugins.md), train with that and pack again"


@dataclass(frozen=True)
class Card:
    """The model card: what a person should know about a model before using it.

    Args:
        name: of the model.
        data: what it was trained on.
        licence: under which it may be used.
        notes: anything else, such as whose voices these are.
    """

    name: str = ""
    data: str = ""
    licence: str = ""
    notes: str = ""


@dataclass(frozen=True)
class Header:
    """The description in a pack.

    Args:
        format: a pack of a later format can't be read.
        v2skit: the version that packed it.
        card: for people.
        meta: of the parts ``model`` and perhaps ``vocoder``.
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
    if path.is_dir():
        raise UserError(f"{path} is a folder, not a packed model; v2skit pack {path} -o model.v2s makes one")
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {})[KEY]
        tree = parse_state(text, path, REMEDY)
        if isinstance(tree.get("format"), int) and tree["format"] > FORMAT:
            version = f"was packed by v2skit {tree.get('v2skit')}, this is {__version__}; install that one or newer"
            raise UserError.about(path, version)
        header = check(tree, Header, "its header")
    except UserError as error:
        if error.fields.get("path") == path:
            raise
        raise _no_model(path, error) from error
    except (OSError, SafetensorError, KeyError, ValueError, RecursionError) as error:
        raise _no_model(path, error) from error
    codes = [code for meta in header.meta.values() for code in own_code(meta.config)] + direct.paths(header.vocoder)
    if codes:
        raise UserError.about(path, f"needs {codes[0]}, and a pack runs only v2skit and installed plug-ins; {PLUGIN}")
    return header


def own_code(config: dict) -> list[str]:
    """What a stored config names and no pack runs: plug-in files, and classes that no plug-in registers."""
    stored = config.get("plugins") or []
    files = stored if isinstance(stored, list) else [stored]
    names = (file.get("name") if isinstance(file, dict) else file for file in files)
    return [*(f"the plug-in file {name}" for name in names), *direct.paths(config)]


def _no_model(path: Path, reason: object) -> UserError:
    return UserError(f"{path} is no v2skit model, or is damaged ({reason}); {REMEDY}", path=path)
