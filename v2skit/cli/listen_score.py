"""``v2skit listen-score``: the results of a listening test."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from v2skit.cli.options import Commands, add_command


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "listen-score", "mean ratings of a listening test, with intervals")
    command.add_argument("key", type=Path, metavar="KEY", help="the .key.json that v2skit listen wrote")
    command.add_argument("answers", type=Path, nargs="+", metavar="ANSWERS", help="a .json file of each listener")
    command.add_argument("-o", "--out", type=Path, help="also write the results as JSON")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the results."""
    from v2skit.evaluation.listening_scores import check_replaceable, score, to_markdown
    from v2skit.system.atomic import write_text

    if options.out:
        check_replaceable(options.out)
    results = score(options.key, options.answers)
    print(to_markdown(results), end="")
    if options.out:
        write_text(options.out, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
