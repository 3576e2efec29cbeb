"""``v2skit listen``: the page of a blinded listening test."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command
from v2skit.system.extras import needs

KINDS = ("mos", "ab", "mushra")


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "listen", "write the HTML page of a blinded listening test, and its key")
    command.hint = "answers are analysed with: v2skit listen-score KEY ANSWERS..."
    command.add_argument("experiments", type=Path, nargs="+", metavar="EXP", help="folders of scored experiments")
    text = "mos: ratings from 1 to 5; ab: preference of two; mushra: ratings against a reference; default: mos"
    command.add_argument("--kind", choices=KINDS, default="mos", help=text)
    text = "the page; the key is written beside it, as NAME.key.json; default: listen.html in the first EXP"
    command.add_argument("-o", "--out", type=Path, help=text)
    command.add_argument("--clips", type=int, default=10, metavar="N", help="number of clips; default: 10")
    text = "number of attention checks of mos and ab, mushra has the hidden reference; default: 3"
    command.add_argument("--checks", type=int, default=3, metavar="N", help=text)
    text = "systems by their label in the results; default: all, of ab without ground truth"
    command.add_argument("--rows", nargs="+", default=[], metavar="LABEL", help=text)
    text = "of the choice of clips, blind names and order; default: 1"
    command.add_argument("--seed", type=int, default=1, help=text)
    command.add_argument("--work_dir", type=Path, help="the recipe's folder; default: two folders up from EXP")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write page and key, and print their names."""
    with needs("evaluate", "the listening test"):
        from v2skit.evaluation.pages import listening

    out = options.out or options.experiments[0] / "listen.html"
    plan = listening.Plan(options.kind, options.clips, options.checks, options.rows, options.seed, options.work_dir)
    key = listening.write_test(out, options.experiments, plan)
    print(f"listening test: {out}, {out.stat().st_size / 1e6:.1f} MB, for listeners")
    print(f"key: {key}, not for listeners; v2skit listen-score reads it")
