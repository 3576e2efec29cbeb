"""Provenance: what an output was made from, recorded with the output and compared with what it would be made from now.

A record is flat, ``networks.encoder.dim: 256``, whatever the nesting of the settings it was made of; an absent key and
a null are the same. Records are JSON; nested ones, as earlier versions wrote them, are read as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from v2skit.system.atomic import write_text
from v2skit.system.state_file import damaged, read_state

_DIGEST = re.compile(r"[0-9a-f]{12}")
_REMEDY = "it records what its folder was made from: repeat that step with --force"


@dataclass(frozen=True)
class Difference:
    """One key that differs between two records."""

    key: str
    before: Any
    now: Any

    def __str__(self) -> str:
        if all(isinstance(value, str) and _DIGEST.fullmatch(value) for value in (self.before, self.now)):
            return f"{self.key}: other content now"  # a hash says nothing to people
        return f"{self.key}: {self.before} there, {self.now} now"


@dataclass(frozen=True)
class Provenance:
    """A record, which does not change.

    Args:
        tree: settings and digests, nested or flat, of JSON's types. ``values`` is the same, flat.
    """

    tree: InitVar[Mapping[str, Any]]
    values: Mapping[str, Any] = field(init=False)

    def __post_init__(self, tree: Mapping[str, Any]) -> None:
        values = dict(_flatten(json.loads(json.dumps(tree, default=str)), ""))  # as read from a file: lists, no tuples
        object.__setattr__(self, "values", MappingProxyType(values))

    @classmethod
    def read(cls, path: Path) -> Provenance | None:
        """The record in a file, None where there is none. Raises UserError where it is damaged."""
        tree = read_state(path, _REMEDY)
        if tree is None:
            return None
        try:
            return cls(tree)
        except RecursionError as error:
            raise damaged(path, "it is nested too deeply", _REMEDY) from error

    def write(self, path: Path) -> None:
        """Write the record to a file."""
        write_text(path, json.dumps(dict(self.values), indent=1) + "\n")

    def part(self, prefix: str) -> Provenance:
        """The record of what is below a key."""
        start = f"{prefix}."
        return Provenance({k.removeprefix(start): v for k, v in self.values.items() if k.startswith(start)})

    def diff(self, now: Provenance, only: Iterable[str] | None = None) -> list[Difference]:
        """What differs, by key.

        Args:
            now: what the same output would be made from now.
            only: keys, or the beginnings of keys up to a dot, that are compared; None: all.
        """
        prefixes = None if only is None else tuple(f"{prefix}." for prefix in only)
        keys = sorted({*self.values, *now.values})
        if prefixes is not None:
            keys = [key for key in keys if f"{key}.".startswith(prefixes)]
        pairs = ((key, self.values.get(key), now.values.get(key)) for key in keys)
        return [Difference(key, before, after) for key, before, after in pairs if before != after]


def worded(differences: Iterable[Difference]) -> str:
    """Differences in an error's message; they go into its fields as well."""
    return "; ".join(map(str, differences))


def _flatten(tree: Any, key: str) -> Iterable[tuple[str, Any]]:
    """``{"a": {"b": 1}}`` -> ``("a.b", 1)``."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _flatten(value, f"{key}.{name}" if key else name)
    else:
        yield key, tree
