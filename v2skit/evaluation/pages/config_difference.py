"""What an experiment's config adds to its bases, and what ``--set`` changed in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v2skit.config.load import flatten, load_config, read_tree, to_tree
from v2skit.config.yaml_tree import parse_yaml
from v2skit.system.text_file import read_text

_ABSENT = object()


@dataclass(frozen=True)
class Change:
    """A key: its value in the bases (None: they have none), its value in the experiment, and who gave it."""

    key: str
    base: str | None
    value: str
    by: str


def changes(path: Path, config: dict[str, Any]) -> list[Change]:
    """The keys that a config file, or ``--set``, gives other values than its bases.

    Args:
        path: of the config file.
        config: the resolved config of the experiment, as a plain tree.

    Raises:
        UserError: the file or one of its bases can't be read, or it does not fit.
    """
    own = parse_yaml(read_text(path), str(path))
    named = own.pop("base", [])
    under: dict[str, Any] = {}
    for base in [named] if isinstance(named, str) else named:
        under |= flatten(read_tree(path.parent / base))
    ours, stored = flatten(own), flatten(config)
    loaded = flatten(to_tree(load_config(path)))
    given = {key: ("--set", value) for key, value in stored.items() if loaded.get(key, _ABSENT) != value}
    found = {key: (path.name, value) for key, value in ours.items()} | given
    return [
        Change(key, _text(under[key]) if key in under else None, _text(value), by)
        for key, (by, value) in found.items()
        if under.get(key, _ABSENT) != value
    ]


def _text(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
