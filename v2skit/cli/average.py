"""``v2skit average``: the mean of the weights of two models."""

from __future__ import annotations

import argparse

from v2skit.cli.options import Commands, add_command, add_output, add_trust, check_output


def add(commands: Commands) -> None:
    """Add the command."""
    text = "write the mean of the weights of two models, one fine-tuned from the other, for init of parts"
    command = add_command(commands, "average", text)
    text = "an experiment, a V2A run, a checkpoint or a pack (file, installed:NAME or hf://owner/name)"
    command.add_argument("model", metavar="MODEL", help=text)
    command.add_argument("other", metavar="OTHER", help="likewise, of the same networks")
    command.add_argument("--share", type=float, default=0.5, help="of MODEL in the mean; default: 0.5")
    add_output(command, ".safetensors")
    add_trust(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the mean and print what is in it."""
    from v2skit.models.average import write_average

    check_output(options)
    print(write_average(options.model, options.other, options.share, options.out))
