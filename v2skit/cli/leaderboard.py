"""``v2skit leaderboard``: all results in one table."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from v2skit.cli.options import Commands, add_command
from v2skit.errors import UserError


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "leaderboard", "print the results of many experiments, grouped by protocol")
    text = "an experiment, or a folder of experiments; default: egs/*/exp"
    command.add_argument("folders", nargs="*", type=Path, metavar="FOLDER", help=text)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the table of each protocol; results that can't be read are named on standard error.

    Raises:
        UserError: none can be read.
    """
    from v2skit.evaluation.leaderboard import boards, find_results
    from v2skit.evaluation.markdown import board

    found, errors = boards(find_results(options.folders or sorted(Path().glob("egs/*/exp"))))
    print("\n".join(map(board, found)), end="")
    for error in errors:
        print(f"v2skit: {error}", file=sys.stderr)
    if not found:
        raise UserError(f"none of the {len(errors)} results can be read; stage 6 with --force makes them again")
