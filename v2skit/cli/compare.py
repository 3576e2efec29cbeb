"""``v2skit compare``: scored systems side by side."""

from __future__ import annotations

import argparse

from v2skit.cli.options import Commands, add_command
from v2skit.errors import UserError


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "compare", "compare scored systems, with paired intervals, under equal conditions")
    text = "an experiment, whose main row it is, EXP:ROW, or a folder with scores.jsonl; the first one is the reference"
    command.add_argument("systems", nargs="*", metavar="SYSTEM", help=text)
    text = "a system with several seeds: its name, and one experiment for each seed; may be given again"
    command.add_argument("--group", nargs="+", action="append", default=[], metavar=("NAME", "SYSTEM"), help=text)
    command.add_argument("--bootstrap", type=int, default=10000, metavar="N", help="resamples; default: 10000")
    text = "clips that a metric failed for: left out of both systems, or counted with the worst score; default: drop"
    command.add_argument("--failed", choices=("drop", "worst"), default="drop", help=text)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the comparison. Raises UserError where systems can't be ranked, after printing the others."""
    from v2skit.evaluation.compare import Group, compare
    from v2skit.evaluation.markdown import compared
    from v2skit.evaluation.protocol import worded
    from v2skit.evaluation.systems import read_system

    for name, *members in options.group:
        if not members:
            raise UserError(f"--group {name} has no experiments; give a name, then one experiment for each seed")
    groups = [Group(name, [read_system(name)]) for name in options.systems]
    groups += [Group(name, [read_system(member) for member in members]) for name, *members in options.group]
    found = compare(groups, options.bootstrap, failed=options.failed)
    print(compared(found), end="")
    for name, differences in found["refused"].items():
        fields = worded(differences, f"in {groups[0].name}", f"in {name}")
        message = f"{groups[0].name} and {name} can't be ranked, they were scored under other conditions ({fields}); "
        raise UserError(f"{message}score both under one protocol, with stage 6 and --protocol", differences=differences)
