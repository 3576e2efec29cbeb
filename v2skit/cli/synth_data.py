"""``v2skit synth-data``: speech for a data directory."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command, add_model, chosen_model, print_headline, warn_of_broken


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "synth-data", "synthesise speech for a prepared data directory")
    command.add_argument("data_dir", type=Path, metavar="DATA_DIR", help="a prepared data directory, with videos")
    add_model(command)
    text = "folder for the sound files; those of the same model and data are kept, others deleted"
    command.add_argument("-o", "--out", type=Path, required=True, help=text)
    command.add_argument("--force", action="store_true", help="delete existing sound files and synthesise all again")
    command.set_defaults(run=run, resumes=True)


def run(options: argparse.Namespace) -> None:
    """Synthesise speech for every utterance of a data directory."""
    from v2skit.data.data_dir import read_silent
    from v2skit.registry import plugins
    from v2skit.synthesis.directory import source_of, speech_folder, synthesise_directory
    from v2skit.synthesis.synthesiser import load

    warn_of_broken(plugins.registry().broken)
    path = chosen_model(options)
    model = load(path, options.device, options.vocoder)
    clips = read_silent(options.data_dir)
    print_headline(model)
    with speech_folder(options.out, source_of(model, path, options.data_dir), options.force):
        synthesise_directory(model, clips, options.data_dir, options.out)
    print(f"speech: {options.out}/")
