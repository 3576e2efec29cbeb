"""``v2skit plugins``: the plug-ins, and what they add."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from v2skit.cli.options import Commands, add_command, add_config, plugins_of
from v2skit.cli.plugin_commands import collect
from v2skit.registry import plugins


def add(commands: Commands) -> None:
    """Add the command."""
    text = "list the plug-ins, their versions, kinds, commands, further hooks and components"
    command = add_command(commands, "plugins", text)
    add_config(command)
    command.set_defaults(run=run, builtin=lambda: list(commands.choices))


def run(options: argparse.Namespace) -> None:
    """Print the plug-ins."""
    builtin: Callable[[], list[str]] = options.builtin
    with plugins.using(plugins_of(options)):
        registry, found = plugins.loaded()
        commands = collect(builtin())
        for plugin in found:
            print(f"{plugin.name} {plugin.version}")
            for error in (plugin.error, commands.broken.get(plugin.name)):
                if error:
                    print(f"  broken: {error}")
            kinds = [name for name, kind in registry.kinds.items() if kind.origin == plugin.name != "v2skit"]
            for what, names in {
                "kind": kinds,
                "command": commands.names.get(plugin.name, []),
                "hook": plugin.further,
            }.items():
                for name in names:
                    print(f"  {what} {name}")
            for entry in registry.entries():
                if entry.origin == plugin.name:
                    print(f"  {entry.kind} {entry.name}")
        for clash in commands.clashes.values():
            print(f"clash: {clash}")
