"""``v2skit synth``: speech for videos."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import (
    Commands,
    add_command,
    add_model,
    add_talker,
    add_tracker,
    chosen_model,
    chosen_voice,
    load_model,
    print_headline,
)
from v2skit.version import __version__


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "synth", "synthesise speech for videos")
    command.hint = "the stage of a recipe: v2skit stage synth; a data directory: v2skit synth-data DATA_DIR"
    text = "files, or folders (without their subfolders); of several videos those already processed are skipped"
    command.add_argument("videos", type=Path, nargs="+", metavar="VIDEO", help=text)
    add_model(command)
    text = "folder for the sound files, or for one video a .wav or .flac file; default: a folder speech next to it"
    command.add_argument("-o", "--out", type=Path, help=text)
    text = "what runs the networks; onnx (onnxruntime, on the CPU) exports a model that is no ONNX file first"
    command.add_argument("--backend", choices=("torch", "onnx"), help=f"{text}; default: onnx for an ONNX file")
    add_tracker(command)
    add_talker(command)
    command.add_argument("--mux", action="store_true", help="also write the video with the speech as its sound")
    command.add_argument("--report", action="store_true", help="also write that and an HTML page about it")
    command.add_argument("--text", action="store_true", help="also print what a head of the model reads on the lips")
    formats = ("textgrid", "ctm")
    text = "also write when a head reads each word, next to the speech: a Praat TextGrid or a ctm of NIST; repeatable"
    command.add_argument("--align", action="append", choices=formats, default=[], help=text)
    command.add_argument("--force", action="store_true", help="overwrite existing files, if v2skit wrote them")
    command.set_defaults(run=run, resumes=True)


def run(options: argparse.Namespace) -> None:
    """Synthesise speech for videos, with everything checked before the first of them."""
    from v2skit.synthesis.files import synthesise_files
    from v2skit.synthesis.paths import Extras, find_videos, outputs

    videos = find_videos(options.videos)
    model, tracker = load_model(options)
    chosen_voice(options, model)
    extras = Extras(options.mux, options.report, options.force, options.text, tuple(options.align))
    targets = outputs(videos, options.out, extras)
    voice = options.voice or model.default_voice
    chosen = {"vocoder": options.vocoder, "voice": voice, "tracker": options.tracker, "face": options.face}
    facts = {"model": str(chosen_model(options)), "made for": model.card.headline or "not stated"}
    facts |= {**{name: str(value or "the model's") for name, value in chosen.items()}, "v2skit": __version__}
    print_headline(model)
    synthesise_files(model, targets, tracker, options.voice, extras, facts)
