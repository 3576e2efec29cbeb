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
    text = "data directory that names the talkers; default: as the scores name them"
    command.add_argument("--data", type=Path, metavar="DIR", help=text)
    text = "also list the confusions of a word, the number of which in the sentence is given, from 1"
    command.add_argument("--confusions", type=int, metavar="SLOT", help=text)
    command.add_argument("--top", type=int, default=10, help="number of confusions; default: 10")
    text = "also align the ground-truth audio of --data to its text, and print the error of the speech in each sound"
    command.add_argument("--by_time", action="store_true", help=text)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the tables."""
    from v2skit.data.data_dir import read_clock, read_manifest
    from v2skit.evaluation.breakdown import break_down
    from v2skit.evaluation.forced_alignment import ForcedAligner
    from v2skit.evaluation.markdown import breakdowns
    from v2skit.evaluation.pronunciations import pronunciations
    from v2skit.evaluation.sound_errors import sound_errors
    from v2skit.evaluation.stored_scores import read_rows, scored_folders, talkers

    if options.top < 1:
        raise UserError(f"--top {options.top}: list at least one confusion")
    if options.by_time and not options.data:
        raise UserError("--by_time needs the ground-truth audio and text; give their data directory with --data")
    folders = scored_folders(options.folders)
    rows = read_rows(folders)
    utterances = {u.id: u for u in read_manifest(options.data)} if options.data else {}
    speakers = talkers(rows, {key: u.speaker for key, u in utterances.items()} if options.data else None)
    errors = None
    if options.by_time:
        scored = [utterances[key] for key in speakers]
        errors = sound_errors(scored, folders, read_clock(options.data).sample_rate, ForcedAligner())
    found = break_down(rows, speakers, pronunciations, options.top)
    lines = breakdowns(found, options.confusions, errors, max_talkers=len(speakers))
    if not lines:
        raise UserError("the scores are of one talker and without recognised words: there is nothing to break down")
    print("\n".join(lines).lstrip("\n"))
