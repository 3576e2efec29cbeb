"""A config's choice of a component, checked but not built."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal


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

    @property
    def own(self) -> dict[str, Any]:
        """The keys of a config that are not arguments of the component: those of this choice alone."""
        known = {field.name for field in fields(Component)}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in known}


@dataclass(frozen=True)
class Term(Component):
    """A loss as a config chooses it, with its ``weight:`` in the total."""

    weight: float = 1.0


@dataclass(frozen=True)
class HeadChoice(Component):
    """A head as a config chooses it.

    Args:
        on: the features that it is on: those of the frontend or of the encoder.
    """

    on: Literal["frontend", "encoder"] = "encoder"
