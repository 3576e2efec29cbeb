"""``v2skit info``: the description of a packed model."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "info", "describe a packed model")
    command.add_argument("model", type=Path, metavar="FILE")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the model card."""
    from v2skit.models.package import describe

    print(describe(options.model))
