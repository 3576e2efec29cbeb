"""``v2skit plugins``: the installed plug-ins."""

from __future__ import annotations

import argparse

from v2skit.cli.options import Commands, add_command
from v2skit.registry import plugins


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "plugins", "list the plug-ins, their versions and their components")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the plug-ins."""
    registry, found = plugins.load()
    for plugin in found:
        print(f"{plugin.name} {plugin.version}")
        if plugin.error:
            print(f"  broken: {plugin.error}")
        for entry in registry.entries():
            if entry.origin == plugin.name:
                print(f"  {entry.kind} {entry.name}")
