"""A component that a config chose, built: its own components first."""

from __future__ import annotations

from typing import Any

from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.component import Component
from v2skit.registry.kinds import construct


def build(kind: str, choice: Component, **given: Any) -> Any:
    """The component that a config chose. Raises UserError, naming it, where its arguments do not go together."""
    component = plugins.registry().entry(kind, choice.type).load()
    try:
        args = {name: _built(value, given) for name, value in choice.args.items()}
        return construct(kind, component, args, **given)
    except UserError as error:
        raise UserError(f"{kind} '{choice.type}': {error}") from error


def _built(value: Any, given: dict[str, Any]) -> Any:
    """Components among a component's arguments, or in a dict among them, are built first."""
    if isinstance(value, Component):
        return build(value.kind, value, **given)
    return {k: _built(v, given) for k, v in value.items()} if isinstance(value, dict) else value
