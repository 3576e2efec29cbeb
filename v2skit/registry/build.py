"""The choice of a component -> the built component; components among its arguments are built first."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.component import Component
from v2skit.registry.contract import checked
from v2skit.registry.failure import failure
from v2skit.registry.kinds import construct

MAX_SHOWN = 200
"""Characters of the arguments that an error shows."""


def build(kind: str, choice: Component, **given: Any) -> Any:
    """Build the component that a config chooses.

    Args:
        kind: a key of :data:`v2skit.registry.kinds.KINDS`, or a kind of a plug-in.
        choice: its type and arguments.
        given: what the toolkit gives to components, see :class:`v2skit.registry.kinds.Kind`; each gets what it names.

    Raises:
        UserError: it can't be loaded, or its arguments do not go together; names the component.
    """
    with plugins.using(choice.files):
        return _build(kind, choice, given)


def _build(kind: str, choice: Component, given: dict[str, Any]) -> Any:
    entry = plugins.registry().entry(kind, choice.type)
    component = entry.load()
    where = f"{kind} '{choice.type}'"
    lazy = getattr(component, "lazy", ())
    try:
        args = {name: _built(value, given, name in lazy) for name, value in choice.args.items()}
        built = construct(kind, component, args, **given)
    except UserError as error:
        raise UserError(f"{where}: {error}", **error.fields) from error
    except BaseException as error:  # a constructor may fail in any way, or call sys.exit()
        shown = ", ".join(f"{name}: {value!r}" for name, value in choice.args.items())
        why = f"with its arguments ({shown[:MAX_SHOWN]}): {failure(error, where)}"
        raise UserError(f"{where} (from {entry.origin}) can't be built {why}") from error
    return checked(built, kind, f"{where} (from {entry.origin})", given)


def _built(value: Any, given: dict[str, Any], lazy: bool) -> Any:
    """An argument with all components in it built: itself, or in lists, tuples and dicts at any depth.

    Those of arguments that the component names in its attribute ``lazy`` are functions that build them: what only
    training needs, such as the weights of an extractor, need not be there in synthesis.
    """
    if isinstance(value, Component):
        return partial(build, value.kind, value, **given) if lazy else build(value.kind, value, **given)
    if isinstance(value, Mapping):
        return {key: _built(entry, given, lazy) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_built(entry, given, lazy) for entry in value)
    return value
