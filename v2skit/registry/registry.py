"""(kind, name) -> component class, imported on first use."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from v2skit.errors import UserError, suggestion
from v2skit.registry import direct
from v2skit.registry.failure import failure
from v2skit.registry.kinds import KINDS, RENAMED_KINDS, Kind, check_names


@dataclass(frozen=True)
class Entry:
    """A component: ``target`` is ``package.module:Class``, ``origin`` the plug-in that registered it.

    A class that no plug-in registers, and a config names by its path, has this path as its name too, and as origin its
    distribution.
    """

    kind: str
    name: str
    target: str
    origin: str

    def load(self) -> type:
        """Import the component. Raises UserError, with the name of the plug-in, where the import fails."""
        module, _, attribute = self.target.partition(":")
        where = f"{self.kind} '{self.name}' (from {self.origin})"
        try:
            component = getattr(importlib.import_module(module), attribute)
            inspect.signature(component)
        except BaseException as error:  # its module may fail in any way, or call sys.exit()
            remedy = f"; {direct.REMEDY}" if self.name == self.target else ""
            raise UserError(f"{where} can't be loaded: {failure(error)}{remedy}") from error
        try:
            if self.name == self.target:
                direct.check_class(self.kind, component)
            check_names(self.kind, component)
        except UserError as error:
            raise UserError(f"{where} {error}", **error.fields) from error
        return component


class Registry:
    """All registered components, by kind and name.

    Args:
        kinds: of the components, by name; those of plug-ins are added to it. None: :data:`v2skit.registry.kinds.KINDS`.
    """

    def __init__(self, kinds: dict[str, Kind] | None = None) -> None:
        self.kinds = KINDS if kinds is None else kinds
        self._entries: dict[tuple[str, str], Entry] = {}
        self.broken: dict[str, str] = {}
        """Plug-ins that could not be loaded, and why."""
        self._contested: dict[tuple[str, str], str] = {}
        """(kind, name) that two plug-ins register -> the error for who uses it."""

    def copy(self) -> Registry:
        """A registry with the same kinds and components, to which others can be added."""
        other = Registry(dict(self.kinds))
        other._entries, other._contested = dict(self._entries), dict(self._contested)
        other.broken = dict(self.broken)
        return other

    def add_kinds(self, kinds: Iterable[tuple[Any, Any, Any, Any]], origin: str) -> None:
        """Register all kinds (name, purpose, given, check) of a plug-in, or none.

        Raises:
            UserError: a kind is registered already, or one of the four is not of its type.
        """
        found: dict[str, Kind] = {}
        for name, purpose, given, check in kinds:
            names = tuple(given) if isinstance(given, (list, tuple)) else (None,)
            texts = (name, purpose, *names)
            if not all(isinstance(text, str) for text in texts) or not (check is None or callable(check)):
                raise UserError(
                    f"{origin} registers {(name, purpose, given, check)!r} as a kind; give its name and purpose as "
                    "text, a tuple of argument names, and a function or None"
                )
            if not name.isidentifier():
                raise UserError(f"{origin} registers the kind '{name}'; its name must be a Python identifier")
            taken = found.get(name) or self.kinds.get(name)
            if taken:
                raise UserError(
                    f"kind '{name}' is registered twice: by {taken.origin} ({taken.purpose}) and by {origin} "
                    f"({purpose}); uninstall one of the two or rename its kind"
                )
            found[name] = Kind(purpose, names, check, origin)
        self.kinds.update(found)

    def remove_kinds(self, origin: str) -> None:
        """Remove the kinds that a plug-in registered, and all components of these kinds."""
        for name in [name for name, kind in self.kinds.items() if kind.origin == origin]:
            del self.kinds[name]
        self._entries = {key: entry for key, entry in self._entries.items() if entry.kind in self.kinds}

    def add_all(self, components: Iterable[tuple[str, str, str]], origin: str) -> None:
        """Register all components (kind, name, target) of a plug-in, or none. Raises UserError as :meth:`add` does."""
        before = dict(self._entries)
        try:
            for kind, name, target in components:
                self.add(kind, name, target, origin)
        except UserError:
            self._entries = before
            raise

    def add(self, kind: str, name: str, target: str, origin: str) -> None:
        """Register a component. Raises UserError for an unknown kind or a name that is registered already."""
        if not all(isinstance(text, str) for text in (kind, name, target)):
            raise UserError(f"{origin} registers {(kind, name, target)!r}; kind, name and target must be text")
        if kind in RENAMED_KINDS and kind not in self.kinds:
            raise UserError(
                f"{kind} '{name}' (from {origin}) is of a plug-in for v2skit 0.1; register it as kind "
                f"'{RENAMED_KINDS[kind]}', or install a newer version of the plug-in"
            )
        if kind not in self.kinds:
            raise UserError(f"{origin} registers '{name}' as unknown kind '{kind}'{suggestion(kind, self.kinds)}")
        if ":" in name:
            raise UserError(f"{origin} registers {kind} '{name}'; a name has no colon, which the path of a class has")
        taken = self._entries.get((kind, name))
        if taken:
            message = (
                f"{kind} '{name}' is registered twice: by {taken.origin} ({taken.target}) and by {origin} ({target}); "
                "uninstall one of the two or rename its component"
            )
            if taken.origin not in ("v2skit", origin):  # a built-in component stays what configs mean by its name
                self._contested[kind, name] = message
            raise UserError(message)
        if not all(target.partition(":")):
            raise UserError(f"{origin}: target '{target}' of {kind} '{name}' is not of the form 'package.module:Class'")
        self._entries[kind, name] = Entry(kind, name, target, origin)

    def entry(self, kind: str, name: str) -> Entry:
        """The entry of a component: a registered name, or ``package.module:Class``.

        Raises:
            UserError: there is none, or several; with the nearest name.
        """
        if kind not in self.kinds:
            new = RENAMED_KINDS.get(kind)
            hint = f"; it is {new!r} now" if new else suggestion(kind, self.kinds)
            raise UserError(f"unknown kind '{kind}'{hint}{self._reasons()}")
        if ":" in name:
            return Entry(kind, name, name, direct.origin(name))
        if (kind, name) in self._contested:
            raise UserError(self._contested[kind, name])
        if (kind, name) not in self._entries:
            hint = suggestion(name, (e.name for e in self.entries(kind)))
            raise UserError(f"unknown {kind} '{name}'{hint}{self._reasons()}")
        return self._entries[kind, name]

    def _reasons(self) -> str:
        """Why plug-ins are broken, one of which may have registered what is not found."""
        return "".join(f"\n  plug-in {origin} is broken: {why}" for origin, why in self.broken.items())

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All entries, or those of one kind, sorted by kind and name."""
        return sorted((e for e in self._entries.values() if kind in (None, e.kind)), key=lambda e: (e.kind, e.name))
