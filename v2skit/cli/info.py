"""``v2skit info``: the description of packed models."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command, add_trust


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(
        commands, "info", "describe a packed or exported model, or those that are installed with v2skit"
    )
    text = "a packed model, a file or hf://owner/name; default: all that are installed"
    command.add_argument("model", nargs="?", metavar="FILE", help=text)
    add_trust(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the model card, or the path and card of every installed model."""
    from v2skit.hub.fetch import local_path
    from v2skit.hub.installed import default_model, installed_models
    from v2skit.models.package import describe
    from v2skit.synthesis.exported.file import OnnxFile
    from v2skit.synthesis.synthesiser import ONNX

    if options.model and Path(options.model).suffix == ONNX:
        print(OnnxFile.read(Path(options.model)).describe())
        return
    if options.model:
        print(describe(local_path(options.model)))
        return
    for path in installed_models() or [default_model()]:  # raises an error where none is installed
        print(f"{path}\n{describe(path)}\n")
