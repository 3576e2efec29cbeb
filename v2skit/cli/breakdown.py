"""``v2skit breakdown``: scores by talker, by word of the sentence and by sound."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command
from v2skit.errors import UserError


def add(commands: Commands) -> None:
    """Add the command."""
    text = "break scores down by talker, by word of the sentence and by sound, from those that stage 6 has written"
    command = add_command(commands, "breakdown", text)
    text = "an experiment's folder, or a folder of scored speech such as EXP/synth/pretrained"
    command.add_argument("folders", type=Path, nargs="+", metavar="EXP", help=text)
    text = "data directory that names the talkers; default: an id's part before the first hyphen is its talker"
    command.add_argument("--data", type=Path, metavar="DIR", help=text)
    text = "also list the confusions of a word, the number of which in the sentence is given, from 1"
    command.add_argument("--confusions", type=int, metavar="SLOT", help=text)
    command.add_argument("--top", type=int, default=10, help="number of confusions; default: 10")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the tables."""
    from v2skit.data.data_dir import read_manifest
    from v2skit.evaluation.breakdown import break_down
    from v2skit.evaluation.breakdown_text import confusions, sections
    from v2skit.evaluation.markdown import label_of, title_of
    from v2skit.evaluation.pronunciations import pronunciations
    from v2skit.evaluation.stored_scores import read_rows, talkers

    rows = read_rows(options.folders)
    speakers = {u.id: u.speaker for u in read_manifest(options.data)} if options.data else None
    speakers_of = talkers(rows, speakers)
    found = break_down(rows, speakers_of, pronunciations, options.top)

    def label(row: str) -> str:
        return row if "/" in row else label_of(row)

    lines = sections(found, label, title_of, max_talkers=len(speakers_of))
    if options.confusions is not None:
        lines += confusions(found, options.confusions, label)
    if not lines:
        raise UserError("the scores are of one talker and without recognised words: there is nothing to break down")
    print("\n".join(lines).lstrip("\n"))
