"""``v2skit components``: every component with its arguments and defaults."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Mapping

from v2skit.cli.options import Commands, add_command, add_config, plugins_of, warn_of_broken
from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.kinds import KINDS, arguments
from v2skit.registry.registry import Entry


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "components", "list every component with its arguments and defaults")
    command.add_argument("kind", nargs="?", help=f"one of: {', '.join(KINDS)}; or a kind of a plug-in")
    add_config(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the components of one kind or of all."""
    with plugins.using(plugins_of(options)):
        registry = plugins.registry()
        if options.kind is not None and options.kind not in registry.kinds:
            registry.entry(options.kind, "")
        for kind in [options.kind] if options.kind else registry.kinds:
            description = registry.kinds[kind]
            print(f"{kind}: {description.purpose}{_origin(description.origin)}")
            for entry in registry.entries(kind):
                _print(entry)
        warn_of_broken(registry.broken)


def _print(entry: Entry) -> None:
    from v2skit.config.check import kinds_in
    from v2skit.config.load import to_tree

    try:
        component = entry.load()
    except UserError as error:
        print(f"  {entry.name}{_origin(entry.origin)}\n      {error}")
        return
    print(f"  {entry.name}{_origin(entry.origin)}\n      {(inspect.getdoc(component) or '').partition(chr(10))[0]}")
    chosen: Mapping[str, list[str]] = kinds_in(component)
    for name, parameter in arguments(entry.kind, component).items():
        required = parameter.default is inspect.Parameter.empty
        kinds = f"  (kind {', '.join(chosen[name])})" if name in chosen else ""
        print(f"      {name}: {'(required)' if required else repr(to_tree(parameter.default))}{kinds}")


def _origin(origin: str) -> str:
    return "" if origin == "v2skit" else f"  [{origin}]"
