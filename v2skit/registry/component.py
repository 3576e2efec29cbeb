"""A config's choice of a component, checked but not built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Component:
    """A component as a config chooses it.

    Args:
        type: its registered name, the ``type:`` of the config.
        args: arguments of its constructor, defaults included; components at any depth among them are choices too.
        origin: the plug-in that registered it.
        kind: a key of :data:`v2skit.registry.kinds.KINDS`.
    """

    type: str
    args: dict[str, Any]
    origin: str = "v2skit"
    kind: str = ""


@dataclass(frozen=True)
class Term(Component):
    """A loss as a config chooses it, with its ``weight:`` in the total."""

    weight: float = 1.0
