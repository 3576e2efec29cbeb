"""Load the built-in components and the installed plug-ins, all through the hooks of :mod:`v2skit.registry.hooks`."""

from __future__ import annotations

import functools
import importlib.metadata
from dataclasses import dataclass, field
from typing import Any

import pluggy

from v2skit.errors import UserError
from v2skit.registry import builtins
from v2skit.registry import hooks as hookspecs
from v2skit.registry.failure import failure
from v2skit.registry.registry import Registry
from v2skit.version import __version__

GROUP = "v2skit"


@dataclass(frozen=True)
class Plugin:
    """A plug-in.

    Args:
        name: of its entry point.
        version: of its distribution.
        error: why it is broken, or None.
        hooks: its implementations of the hooks, to be called with ``plugin.hooks.NAME(...)``; None for a broken one.
    """

    name: str
    version: str
    error: str | None = None
    hooks: Any = field(default=None, compare=False, repr=False)


@functools.cache
def load() -> tuple[Registry, list[Plugin]]:
    """The registry of all components, and the plug-ins that registered them; loaded once per process.

    A plug-in that fails in any way is broken: none of its components is registered, its error is kept in the registry,
    and the others are loaded.
    """
    registry = Registry()
    _register(builtins, registry, "v2skit")
    plugins = {"v2skit": Plugin("v2skit", __version__)}

    def broken(name: str, version: str, why: str) -> None:
        registry.broken[name] = why
        plugins[name] = Plugin(name, version, why)

    try:
        entries = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))
    except Exception as error:  # the metadata of any installed package may be damaged
        broken("entry points", "?", f"reinstall the package whose entry_points.txt is damaged ({failure(error)})")
        entries = []
    for entry in entries:
        name, version = entry.name, "?"
        try:
            version = entry.dist.version if entry.dist else "?"
            if name in plugins:
                name = f"{name} ({entry.value})"
                raise UserError(f"another plug-in is called '{entry.name}'; uninstall one of the two")
            plugins[name] = Plugin(name, version, hooks=_register(entry.load(), registry, name))
        except BaseException as error:  # a plug-in may fail in any way, or call sys.exit()
            broken(name, version, failure(error))
    return registry, list(plugins.values())


def _register(plugin: Any, registry: Registry, name: str) -> Any:
    """Let one plug-in register its components, all or none. Returns its hooks; raises UserError as they do."""
    hooks = _hooks(plugin, name)
    found: list[tuple[Any, Any, Any]] = []
    hooks.register_components(register=lambda kind, component, target: found.append((kind, component, target)))
    registry.add_all(found, origin=name)
    return hooks


def _hooks(plugin: Any, name: str) -> Any:
    """The hooks of one plug-in. Raises UserError where it has none, or one that does not exist."""
    manager = pluggy.PluginManager(GROUP)  # of its own: what is wrong with one plug-in does not concern the next
    manager.add_hookspecs(hookspecs)
    manager.register(plugin, name)
    names = [hook for hook in dir(hookspecs) if hasattr(getattr(hookspecs, hook), "v2skit_spec")]
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise UserError(f"plug-in {name}: {error}; the hooks are: {', '.join(names)}") from error
    if not manager.get_hookcallers(plugin):
        raise UserError(f"plug-in {name} has no hook; mark one of {', '.join(names)} with @v2skit.hookimpl")
    return manager.hook


def registry() -> Registry:
    """The registry, with all plug-ins loaded."""
    return load()[0]
