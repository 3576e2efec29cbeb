"""Calls the hooks of plug-ins while the toolkit works: events of a training run, batches, sections of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.failure import failure


@dataclass(frozen=True)
class Implementation:
    """A plug-in's implementation of a hook; called as the hook is, it gets the arguments that it names."""

    plugin: str
    hook: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]

    def __call__(self, **given: Any) -> Any:
        """Call it. Raises UserError, with the name of the plug-in, where it fails."""
        try:
            return self.function(**{name: given[name] for name in self.arguments})
        except BaseException as error:  # a plug-in may fail in any way, or call sys.exit()
            raise self.error(f"failed: {failure(error)}") from error

    def error(self, predicate: str) -> UserError:
        """The error of this hook: ``predicate`` says what is wrong with it."""
        return UserError(
            f"hook {self.hook} of plug-in '{self.plugin}' {predicate}; correct or uninstall the plug-in",
            plugin=self.plugin,
            hook=self.hook,
        )


def implementations(hook: str) -> list[Implementation]:
    """The implementations of a hook by the plug-ins in use that are not broken, in the order of their registration.

    Those that are marked ``tryfirst`` or ``trylast`` come first or last.
    """
    found: dict[Callable[..., Any], Any] = {}  # by function, since a module may have two entry points
    for plugin in plugins.loaded()[1]:
        for known in getattr(plugin.hooks, hook).get_hookimpls() if plugin.hooks else ():
            found.setdefault(known.function, known)
    ordered = sorted(found.values(), key=lambda known: known.trylast - known.tryfirst)
    return [Implementation(known.plugin_name, hook, known.function, tuple(known.argnames)) for known in ordered]


def report_sections(exp: Path) -> list[str]:
    """The sections that plug-ins add to the results of an experiment; of one that fails, what went wrong.

    Args:
        exp: folder of the experiment.
    """
    sections = []
    for implementation in implementations("report_section"):
        try:
            text = implementation(exp=exp)
            if text is not None and not isinstance(text, str):
                raise implementation.error(f"returned {type(text).__name__}, not text")
        except UserError as error:
            text = f"## Plug-in '{implementation.plugin}'\n\n{error}."
        if text:
            sections.append(text.strip())
    return sections
