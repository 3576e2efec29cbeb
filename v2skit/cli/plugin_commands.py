"""The commands that plug-ins add by their hook ``register_commands``.

The hook is called twice: first to collect the names, since a plug-in whose hook fails adds no command at all.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from v2skit.cli.options import Commands, Parser, warn_of_broken
from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.failure import failure


class Subcommands:
    """What the hook is given: it adds the commands of one plug-in.

    Args:
        commands: of ``v2skit``; None: the parsers are only made.
        wanted: names of the commands that are added.
    """

    def __init__(self, commands: Commands | None = None, wanted: Iterable[str] = ()) -> None:
        self._commands, self._wanted = commands, set(wanted)
        self.parsers: dict[str, Parser] = {}

    def add_parser(self, name: str, **options: Any) -> Parser:
        """A parser for the arguments of ``v2skit NAME``; ``options`` are those of ``argparse.ArgumentParser``, and
        ``help``, a line for the list of commands."""
        if name in self.parsers:
            raise UserError(f"command '{name}' is added twice; rename one of the two")
        options = {"description": options.get("help"), "allow_abbrev": False, **options}
        if self._commands is not None and name in self._wanted:
            command = self._commands.add_parser(name, **options)
        else:
            options.pop("help", None)
            command = Parser(**options)
        command.set_defaults(parser=command)
        self.parsers[name] = command
        return command


@dataclass(frozen=True)
class Found:
    """The commands of the installed plug-ins.

    Args:
        names: plug-in -> names of its commands.
        clashes: name of a command -> the error of who uses it, since several register it.
        broken: plug-in -> what is wrong with its hook.
    """

    names: dict[str, list[str]]
    clashes: dict[str, str]
    broken: dict[str, str]


def collect(builtin: Iterable[str]) -> Found:
    """The commands of the installed plug-ins, besides those of v2skit, which stay what they are."""
    origins: dict[str, list[str]] = {name: ["v2skit"] for name in builtin}
    names: dict[str, list[str]] = {}
    broken: dict[str, str] = {}
    for plugin in plugins.load()[1]:
        try:
            for name in _names(plugin):
                origins.setdefault(name, []).append(plugin.name)
        except BaseException as error:  # a plug-in may fail in any way, or call sys.exit()
            broken[plugin.name] = f"register_commands: {failure(error)}"
    clashes = {
        name: f"command '{name}' is registered twice: by {' and by '.join(of)}; uninstall one of the two or rename "
        "its command"
        for name, of in origins.items()
        if len(of) > 1
    }
    for name, of in origins.items():
        if name not in clashes and of != ["v2skit"]:
            names.setdefault(of[0], []).append(name)
    return Found(names, clashes, broken)


def add(commands: Commands, builtin: Iterable[str], wanted: str = "") -> None:
    """Add the commands of the installed plug-ins; broken and clashing ones are named on standard error.

    Args:
        commands: of ``v2skit``.
        builtin: names of its own commands.
        wanted: the command that is to be run, if one is.

    Raises:
        UserError: several plug-ins register the wanted one.
    """
    registry, loaded = plugins.load()
    found = collect(builtin)
    if wanted in found.clashes:
        raise UserError(found.clashes[wanted])
    if not any(wanted in names for names in found.names.values()):  # help, or a command that may be a broken plug-in's
        warn_of_broken({**registry.broken, **found.broken})
        for clash in found.clashes.values():
            print(f"v2skit: {clash}", file=sys.stderr)
    for plugin in loaded:
        if plugin.name in found.names:
            plugin.hooks.register_commands(subcommands=Subcommands(commands, found.names[plugin.name]))


def _names(plugin: plugins.Plugin) -> list[str]:
    """The names of a plug-in's commands. Raises whatever its hook raises, and UserError for an unusable command."""
    if plugin.hooks is None:
        return []
    collected = Subcommands()
    plugin.hooks.register_commands(subcommands=collected)
    for name, parser in collected.parsers.items():
        _check_function(name, parser)
    return list(collected.parsers)


def _check_function(name: str, parser: argparse.ArgumentParser) -> None:
    """Raises UserError where a command has no function, nor its subcommands each one."""
    if callable(parser.get_default("run")):
        return
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        raise UserError(f"command '{name}' has no function; call its set_defaults(run=...)")
    for action in below:
        if not action.required:
            raise UserError(
                f"command '{name}' has no function; call its set_defaults(run=...), or make its "
                "subcommands required: add_subparsers(required=True)"
            )
        for inner, subcommand in action.choices.items():
            _check_function(f"{name} {inner}", subcommand)
