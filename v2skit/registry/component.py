"""A config's choice of a component, checked but not built."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from v2skit.registry.files import PluginFile


@dataclass(frozen=True)
class Component:
    """A component as a config chooses it.

    Args:
        type: its registered name or ``package.module:Class``, the ``type:`` of the config.
        args: arguments of its constructor, defaults included; components at any depth among them are choices too.
        origin: the plug-in that registered it, or the distribution of its class.
        kind: a key of :data:`v2skit.registry.kinds.KINDS`, or a kind of a plug-in.
        files: the plug-in files that it is looked up in; with them it can be built in another process.
    """

    type: str
    args: dict[str, Any]
    origin: str = "v2skit"
    kind: str = ""
    files: tuple[PluginFile, ...] = field(default=(), repr=False)

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
