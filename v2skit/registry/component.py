"""What a config says of a component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Component:
    """A config's choice of a component: its ``type:`` and the other keys, which are its arguments; among these may be
    components again. ``kind`` is a key of the registry's KINDS, ``origin`` the plug-in that brought it."""

    type: str
    args: dict[str, Any]
    origin: str = "v2skit"
    kind: str = ""


@dataclass(frozen=True)
class Term(Component):
    """A loss and its ``weight:`` in the total."""

    weight: float = 1.0
