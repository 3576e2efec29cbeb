"""``v2skit export``: a model as an ONNX file."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command, add_trust
from v2skit.errors import UserError


def add(commands: Commands) -> None:
    """Add the command."""
    text = "write a finished model with its vocoder to an ONNX file, for onnxruntime and others"
    command = add_command(commands, "export", text)
    text = "a packed model, or a V2A run or checkpoint; default: the one that is installed with v2skit"
    command.add_argument("model", type=Path, nargs="?", metavar="MODEL", help=text)
    command.add_argument("-o", "--out", type=Path, required=True, help="the file, ending in .onnx")
    command.add_argument("--vocoder", type=Path, help="run, checkpoint or pack of a trained vocoder to use instead")
    add_trust(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Export the model and print the size of the file."""
    from v2skit.models.pretrained import default_model
    from v2skit.synthesis.exported.export import export
    from v2skit.synthesis.synthesiser import ONNX

    if options.out.suffix != ONNX:
        raise UserError(f"--out {options.out}: the name of an ONNX file ends in {ONNX}")
    export(options.model or default_model(), options.vocoder).write(options.out)
    size = options.out.stat().st_size / 1e6
    print(f"model: {options.out} ({size:.1f} MB); v2skit synth VIDEO --model {options.out} synthesises with it")
