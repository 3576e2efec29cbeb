"""Load the built-in components and the installed plug-ins, all through the hooks of :mod:`v2skit.registry.hooks`."""

from __future__ import annotations

import functools
import importlib.metadata
from dataclasses import dataclass

import pluggy

from v2skit.errors import UserError
from v2skit.registry import builtins
from v2skit.registry import hooks as hookspecs
from v2skit.registry.registry import Registry
from v2skit.version import __version__

GROUP = "v2skit"


@dataclass(frozen=True)
class Plugin:
    """An installed plug-in: its entry-point name, the version of its distribution, and its import error or None."""

    name: str
    version: str
    error: str | None = None


@functools.cache
def load() -> tuple[Registry, list[Plugin]]:
    """The registry of all components, and the plug-ins that registered them; loaded once per process."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    registry = Registry()
    manager.register(builtins, "v2skit")
    _register(manager, registry, "v2skit")
    plugins = [Plugin("v2skit", __version__)]
    for entry in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda e: e.name):
        version = entry.dist.version if entry.dist else "?"
        try:
            manager.register(entry.load(), entry.name)
            _register(manager, registry, entry.name)
        except UserError:
            raise
        except Exception as error:  # a plug-in may fail in any way; it is reported, and the others are loaded
            registry.broken[entry.name] = f"{type(error).__name__}: {error}"
            plugins.append(Plugin(entry.name, version, registry.broken[entry.name]))
            continue
        plugins.append(Plugin(entry.name, version))
    return registry, plugins


def _register(manager: pluggy.PluginManager, registry: Registry, name: str) -> None:
    """Let one plug-in register its components. Raises UserError for a hook that does not exist."""
    plugin = manager.get_plugin(name)
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        hooks = [h for h in dir(hookspecs) if hasattr(getattr(hookspecs, h), "v2skit_spec")]
        raise UserError(f"plug-in {name}: {error}; the hooks are: {', '.join(hooks)}") from error
    others = [p for p in manager.get_plugins() if p is not plugin]
    hook = manager.subset_hook_caller("register_components", remove_plugins=others)
    hook(register=lambda kind, component, target: registry.add(kind, component, target, origin=name))


def registry() -> Registry:
    """The registry, with all plug-ins loaded."""
    return load()[0]
