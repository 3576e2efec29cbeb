"""(kind, name) -> component class, imported on first use."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass

from v2skit.errors import UserError, suggestion
from v2skit.registry.failure import failure
from v2skit.registry.kinds import KINDS, RENAMED_KINDS, check_names


@dataclass(frozen=True)
class Entry:
    """A registered component: ``target`` is ``package.module:Class``, ``origin`` the plug-in that registered it."""

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
            raise UserError(f"{where} can't be loaded: {failure(error)}") from error
        try:
            check_names(self.kind, component)
        except UserError as error:
            raise UserError(f"{where} {error}", **error.fields) from error
        return component


class Registry:
    """All registered components, by kind and name."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self.broken: dict[str, str] = {}
        """Plug-ins that could not be loaded, and why."""
        self._contested: dict[tuple[str, str], str] = {}
        """(kind, name) that two plug-ins register -> the error for who uses it."""

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
        if kind in RENAMED_KINDS and kind not in KINDS:
            raise UserError(
                f"{kind} '{name}' (from {origin}) is of a plug-in for v2skit 0.1; register it as kind "
                f"'{RENAMED_KINDS[kind]}', or install a newer version of the plug-in"
            )
        if kind not in KINDS:
            raise UserError(f"{origin} registers '{name}' as unknown kind '{kind}'{suggestion(kind, KINDS)}")
        taken = self._entries.get((kind, name))
        if taken:
            message = (
                f"{kind} '{name}' is registered twice: by {taken.origin} ({taken.target}) and by {origin} ({target}); "
                "uninstall one of the two or rename its component"
            )
            if taken.origin not in ("v2skit", origin):  # a built-in component stays what configs mean by its name
                self._contested[kind, name] = message
            raise UserError(message)
        if ":" not in target:
            raise UserError(f"{origin}: target '{target}' of {kind} '{name}' is not of the form 'package.module:Class'")
        self._entries[kind, name] = Entry(kind, name, target, origin)

    def entry(self, kind: str, name: str) -> Entry:
        """The entry of a component. Raises UserError, with the nearest name, where there is none, or several."""
        if kind not in KINDS:
            new = RENAMED_KINDS.get(kind)
            raise UserError(f"unknown kind '{kind}'{f'; it is {new!r} now' if new else suggestion(kind, KINDS)}")
        if (kind, name) in self._contested:
            raise UserError(self._contested[kind, name])
        if (kind, name) not in self._entries:
            hint = suggestion(name, (e.name for e in self.entries(kind)))
            broken = "".join(f"\n  plug-in {origin} is broken: {why}" for origin, why in self.broken.items())
            raise UserError(f"unknown {kind} '{name}'{hint}{broken}")
        return self._entries[kind, name]

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All entries, or those of one kind, sorted by kind and name."""
        return sorted((e for e in self._entries.values() if kind in (None, e.kind)), key=lambda e: (e.kind, e.name))
