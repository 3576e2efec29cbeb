"""``v2skit diff``: how two experiments differ."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command


def add(commands: Commands) -> None:
    """Add the command."""
    text = "show how two experiments differ: config, data, code, plug-ins, environment, scoring and scores"
    command = add_command(commands, "diff", text)
    command.add_argument("first", type=Path, metavar="EXP", help="folder of an experiment")
    command.add_argument("second", type=Path, metavar="OTHER", help="folder of another one")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the differences."""
    from v2skit.evaluation.difference import difference
    from v2skit.evaluation.markdown import differing

    print(differing(difference(options.first, options.second), options.first, options.second), end="")
