"""Load the built-in components, the installed plug-ins and plug-in files, all through the hooks of
:mod:`v2skit.registry.hooks`."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import pluggy

from v2skit.errors import UserError
from v2skit.registry import builtins, direct
from v2skit.registry import hooks as hookspecs
from v2skit.registry.component import Component
from v2skit.registry.failure import failure
from v2skit.registry.files import PluginFile
from v2skit.registry.kinds import IN_USE
from v2skit.registry.registry import Registry
from v2skit.version import __version__

GROUP = "v2skit"
_FILES: ContextVar[tuple[PluginFile, ...]] = ContextVar("plug-in files in use", default=())


@dataclass(frozen=True)
class Plugin:
    """A plug-in.

    Args:
        name: of its entry point, or of its file.
        version: of its distribution, or digest of the file.
        error: why it is broken, or None.
        module: with the hooks of an installed plug-in.
        hooks: its implementations of the hooks, to be called with ``plugin.hooks.NAME(...)``; None for a broken one.
    """

    name: str
    version: str
    error: str | None = None
    module: str = ""
    hooks: Any = field(default=None, compare=False, repr=False)

    @property
    def further(self) -> list[str]:
        """The hooks that it implements besides those which register something."""
        names = [name for name in vars(self.hooks) if not name.startswith(("_", "register_"))] if self.hooks else []
        return [name for name in names if getattr(self.hooks, name).get_hookimpls()]


@functools.cache
def load() -> tuple[Registry, list[Plugin]]:
    """The registry of all components, and the installed plug-ins that registered them; loaded once per process.

    A plug-in that fails in any way is broken: none of its components is registered, its error is kept in the registry,
    and the others are loaded.
    """
    registry = Registry()
    plugins = {"v2skit": Plugin("v2skit", __version__, hooks=_hooks(builtins, "v2skit"))}
    _register_components(builtins, plugins["v2skit"], registry)

    def broken(name: str, version: str, why: str) -> None:
        registry.broken[name] = why
        plugins[name] = Plugin(name, version, why)

    try:
        entries = sorted(importlib.metadata.entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value))
    except Exception as error:  # the metadata of any installed package may be damaged
        broken("entry points", "?", f"reinstall the package whose entry_points.txt is damaged ({failure(error)})")
        entries = []
    modules: dict[str, Any] = {}
    for entry in entries:
        name, version = entry.name, "?"
        try:
            version = entry.dist.version if entry.dist else "?"
            if name in plugins:
                name = f"{name} ({entry.value})"
                raise UserError(f"another plug-in is called '{entry.name}'; uninstall one of the two")
            module = entry.load()
            plugin = Plugin(name, version, module=entry.module, hooks=_hooks(module, name))
            _register_kinds(plugin, registry)
            modules[name], plugins[name] = module, plugin
        except BaseException as error:  # a plug-in may fail in any way, or call sys.exit()
            broken(name, version, failure(error))
    for name, module in modules.items():  # when the kinds of all are known
        try:
            _register_components(module, plugins[name], registry)
        except BaseException as error:
            broken(name, plugins[name].version, failure(error))
            registry.remove_kinds(name)
    return registry, list(plugins.values())


@contextmanager
def using(files: Iterable[PluginFile]) -> Iterator[None]:
    """Within it, the components and kinds of plug-in files are registered too; without a file, those in use before.

    Other files of the same names may be in use elsewhere, such as an earlier version that a checkpoint has with it.

    Raises:
        UserError: a file fails, or registers what is registered already.
    """
    chosen = tuple(files) or _FILES.get()
    if not chosen:
        yield
        return
    tokens = IN_USE.set(_with_files(chosen)[0].kinds), _FILES.set(chosen)
    try:
        yield
    finally:
        IN_USE.reset(tokens[0])
        _FILES.reset(tokens[1])


@functools.cache
def _with_files(files: tuple[PluginFile, ...]) -> tuple[Registry, list[Plugin]]:
    """The registry and all plug-ins, those of files last. Raises UserError where a file fails in any way."""
    registry, installed = load()
    registry = registry.copy()
    found: dict[PluginFile, Plugin] = {}
    for file in files:
        if file.name in {plugin.name for plugin in (*installed, *found.values())}:
            raise UserError(f"two plug-ins are called '{file.name}'; rename one of the two")
        try:
            plugin = Plugin(file.name, file.digest, hooks=_hooks(file.module(), file.name))
            if plugin.hooks.register_commands.get_hookimpls():
                raise UserError("register_commands is of installed packages only; move it into one")
            _register_kinds(plugin, registry)
        except BaseException as error:
            raise _failed(file, error) from error
        found[file] = plugin
    for file, plugin in found.items():
        try:
            _register_components(file.module(), plugin, registry)
        except BaseException as error:
            raise _failed(file, error) from error
    return registry, [*installed, *found.values()]


def _failed(file: PluginFile, error: BaseException) -> UserError:
    text = failure(error)
    return UserError(text if text.startswith(f"plug-in {file.name}") else f"plug-in {file.name}: {text}")


def _hooks(plugin: Any, name: str) -> Any:
    """The hooks of one plug-in. Raises UserError where it has none, one that does not exist, or a wrapper of one."""
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
    for hook in names:
        if any(known.wrapper or known.hookwrapper for known in getattr(manager.hook, hook).get_hookimpls()):
            raise UserError(f"hook {hook} of plug-in '{name}' is a wrapper; make it a plain function")
    return manager.hook


def _register_kinds(plugin: Plugin, registry: Registry) -> None:
    """Let one plug-in register its kinds, all or none."""
    found: list[tuple[Any, Any, Any, Any]] = []

    def register(name: Any, purpose: Any, given: Any = (), check: Any = None) -> None:
        found.append((name, purpose, given, check))

    plugin.hooks.register_kinds(register=register)
    registry.add_kinds(found, plugin.name)


def _register_components(module: Any, plugin: Plugin, registry: Registry) -> None:
    """Let one plug-in register its components, all or none."""
    found: list[tuple[Any, Any, Any]] = []

    def register(kind: Any, name: Any, target: Any) -> None:
        own = isinstance(target, str) and target.startswith(":")
        found.append((kind, name, f"{module.__name__}{target}" if own else target))

    plugin.hooks.register_components(register=register)
    registry.add_all(found, origin=plugin.name)


def loaded() -> tuple[Registry, list[Plugin]]:
    """As :func:`load`, with the plug-in files in use."""
    return _with_files(_FILES.get()) if _FILES.get() else load()


def registry() -> Registry:
    """The registry, with all installed plug-ins and the plug-in files in use."""
    return loaded()[0]


def files() -> tuple[PluginFile, ...]:
    """The plug-in files in use."""
    return _FILES.get()


def class_of(kind: str, choice: Component) -> type:
    """The class of a chosen component. Raises UserError where it can't be loaded."""
    with using(choice.files):
        return registry().entry(kind, choice.type).load()


def versions(origins: Iterable[str]) -> dict[str, str]:
    """The origins of components -> their versions: of distributions, or digests of files; ``v2skit`` is one of them."""
    known = {plugin.name: plugin.version for plugin in loaded()[1]}
    return {name: known[name] if name in known else direct.version(name) or "" for name in sorted(origins)}


def fault(origin: str) -> str | None:
    """Why the components of an origin can't be used here; None where they can."""
    plugin = next((plugin for plugin in loaded()[1] if plugin.name == origin), None)
    if plugin is None:
        return "is not installed" if direct.version(origin) is None else None
    return f"is broken ({plugin.error})" if plugin.error else None
