"""``v2skit components``: every component with its arguments and defaults."""

from __future__ import annotations

import argparse
import inspect

from v2skit.cli.options import Commands, add_command, warn_of_broken
from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.kinds import KINDS, arguments


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "components", "list every component with its arguments and defaults")
    command.add_argument("kind", nargs="?", help=f"one of: {', '.join(KINDS)}")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the components of one kind or of all."""
    from v2skit.config.load import to_tree

    registry = plugins.registry()
    if options.kind is not None and options.kind not in KINDS:
        registry.entry(options.kind, "")
    for kind in [options.kind] if options.kind else KINDS:
        print(f"{kind}: {KINDS[kind].purpose}")
        for entry in registry.entries(kind):
            origin = "" if entry.origin == "v2skit" else f"  [{entry.origin}]"
            try:
                component = entry.load()
            except UserError as error:
                print(f"  {entry.name}{origin}\n      {error}")
                continue
            print(f"  {entry.name}{origin}\n      {(inspect.getdoc(component) or '').partition(chr(10))[0]}")
            for name, parameter in arguments(kind, component).items():
                required = parameter.default is inspect.Parameter.empty
                print(f"      {name}: {'(required)' if required else repr(to_tree(parameter.default))}")
    warn_of_broken(registry.broken)
