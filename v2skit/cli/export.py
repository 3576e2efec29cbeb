"""``v2skit export``: a model as an ONNX file."""

from __future__ import annotations

import argparse

from v2skit.cli.options import Commands, add_command, add_output, add_trust, check_output, chosen_model
from v2skit.errors import UserError


def add(commands: Commands) -> None:
    """Add the command."""
    text = "write a finished model with its vocoder to an ONNX file, for onnxruntime and others"
    command = add_command(commands, "export", text)
    text = "a packed model (file, installed:NAME or hf://owner/name), or a V2A run or checkpoint"
    text += "; default: the one that is installed with v2skit"
    command.add_argument("model", nargs="?", metavar="MODEL", help=text)
    add_output(command, ".onnx")
    command.add_argument("--vocoder", help="run, checkpoint or pack of a trained vocoder to use instead")
    add_trust(command)
    command.set_defaults(run=run, live=False)


def run(options: argparse.Namespace) -> None:
    """Export the model and print the size of the file."""
    from v2skit.hub.fetch import local_path
    from v2skit.synthesis.exported.export import export_model
    from v2skit.synthesis.synthesiser import ONNX

    if options.out.suffix != ONNX:
        raise UserError(f"--out {options.out}: the name of an ONNX file ends in {ONNX}")
    check_output(options)
    vocoder = None if options.vocoder is None else local_path(options.vocoder)
    export_model(chosen_model(options, "the argument MODEL"), vocoder).write(options.out)
    size = options.out.stat().st_size / 1e6
    print(f"model: {options.out} ({size:.1f} MB); v2skit synth VIDEO --model {options.out} synthesises with it")
