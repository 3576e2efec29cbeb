"""``v2skit new-plugin``: a plug-in package with a component of one's own."""

from __future__ import annotations

import argparse

from v2skit.cli.options import Commands, add_command
from v2skit.registry.kinds import KINDS


def add(commands: Commands) -> None:
    """Add the command."""
    text = "write a plug-in package with a small component of any kind, which can be trained as it is"
    command = add_command(commands, "new-plugin", text)
    command.add_argument("kind", metavar="KIND", help=f"one of: {', '.join(KINDS)}")
    command.add_argument("name", metavar="NAME", help="of the component and of the new folder, e.g. my_decoder")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the plug-in."""
    from v2skit.recipes.new_plugin import new_plugin

    print(new_plugin(options.kind, options.name))
