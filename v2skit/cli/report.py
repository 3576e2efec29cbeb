"""``v2skit report``: an HTML page about experiments."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command
from v2skit.system.extras import needs


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "report", "write an HTML page about scored experiments, with clips to listen to")
    text = "folders of experiments; clips are of the first one's test set"
    command.add_argument("experiments", type=Path, nargs="+", metavar="EXP", help=text)
    command.add_argument("-o", "--out", type=Path, help="default: report.html in the first EXP")
    command.add_argument("--clips", nargs="+", default=[], metavar="ID", help="clips that are shown in any case")
    text = "number of best, of median and of worst clips that are shown; default: 1"
    command.add_argument("--each", type=int, default=1, metavar="N", help=text)
    command.add_argument("--metric", metavar="NAME", help="by which clips are ranked; default: estoi")
    text = "config of the first EXP, whose changes to its bases are listed; default: conf/<name of EXP>.yaml"
    command.add_argument("--config", type=Path, help=text)
    command.add_argument("--work_dir", type=Path, help="the recipe's folder; default: two folders up from EXP")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the page, and print its name and size."""
    with needs("evaluate", "the report"):
        from v2skit.evaluation.pages import report

    out = options.out or options.experiments[0] / report.NAME
    choice = report.Choice(options.clips, options.each, options.metric, options.config, options.work_dir)
    report.write_report(out, options.experiments, choice)
    print(f"report: {out}, {out.stat().st_size / 1e6:.1f} MB; it opens in a browser without a network")
