"""``v2skit evaluate``: a model on test clips."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from v2skit.cli.options import Commands, add_command, add_model, chosen_model, print_headline, warn_of_broken
from v2skit.errors import UserError

if TYPE_CHECKING:
    from v2skit.registry.component import Component

ALL_VIDEOS = "{type: custom, split: test}"


def add(commands: Commands) -> None:
    """Add the command."""
    text = "prepare test clips, synthesise their speech with a model and score it, without an experiment"
    command = add_command(commands, "evaluate", text)
    text = "a corpus, such as a folder of videos with their texts as .txt files; or a prepared data directory"
    command.add_argument("clips", type=Path, metavar="DIR", help=text)
    add_model(command)
    text = f"the corpus, a name or {{type: NAME, ...}}, of which the test part is used; default: {ALL_VIDEOS}"
    command.add_argument("--corpus", help=text)
    text = "a voice of the model, for all clips; default: that of each talker, from other clips"
    command.add_argument("--voice", help=text)
    text = "an A2A run, whose row is the upper bound of a decoder: its input is the ground-truth audio"
    command.add_argument("--audio_model", type=Path, metavar="RUN", help=text)
    text = "the speech recogniser, a name or {type: NAME, ...}, or null; default: that of the model's training"
    command.add_argument("--asr", default="model", help=text)
    command.add_argument("-o", "--out", type=Path, required=True, help="folder for prepared clips, speech and scores")
    command.add_argument("--force", action="store_true", help="repeat what is finished")
    command.set_defaults(run=run, resumes=True)


def run(options: argparse.Namespace) -> None:
    """Prepare, synthesise and score."""
    from v2skit.data.data_dir import is_prepared
    from v2skit.evaluation.systems import RUNS
    from v2skit.recipes.evaluate import evaluate
    from v2skit.registry import plugins
    from v2skit.synthesis.synthesiser import load

    warn_of_broken(plugins.registry().broken)
    if not options.clips.is_dir():
        raise UserError(f"{options.clips} is no folder; give a folder of videos, a corpus or a data directory")
    trained = next((options.out / run for run in RUNS if (options.out / run).is_dir()), None)
    if trained is not None:
        raise UserError(f"{trained} is a training, whose results would be replaced; give another folder with -o")
    prepared = is_prepared(options.clips)
    corpus = _corpus(options.corpus or ALL_VIDEOS, options.clips) if options.corpus or not prepared else None
    asr = options.asr if options.asr == "model" else _asr(options.asr)
    path = chosen_model(options)
    model = load(path, options.device, options.vocoder)
    print_headline(model)
    evaluate(model, path, options.clips, corpus, options.out, options.voice, options.audio_model, options.force, asr)


def _asr(text: str) -> Component | None:
    """The recogniser that an option names; None for null. Raises UserError."""
    from v2skit.config.load import parse_component

    return None if text in ("null", "none") else parse_component("asr", text, "--asr")


def _corpus(text: str, folder: Path) -> Component:
    """The corpus that an option names, in a folder. Raises UserError where it is none of files in a folder."""
    from v2skit.config.load import parse_component
    from v2skit.corpora.unpacked import UnpackedCorpus
    from v2skit.registry import plugins

    corpus = parse_component("corpus", text, "--corpus")
    made = plugins.registry().entry("corpus", corpus.type).load()
    unpacked = isinstance(made, type) and issubclass(made, UnpackedCorpus)  # its corpus_dir is to be written to
    if "corpus_dir" not in corpus.args or unpacked:
        raise UserError(f"--corpus: '{corpus.type}' is no corpus in a folder; prepare it, and give its data directory")
    return replace(corpus, args={**corpus.args, "corpus_dir": str(folder.resolve())})
