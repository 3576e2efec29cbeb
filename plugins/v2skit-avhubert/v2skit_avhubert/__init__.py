"""Registers the component and the command of this plug-in; what they need is imported when they are used."""

from pathlib import Path

import v2skit


@v2skit.hookimpl
def register_components(register):
    register("visual_frontend", "avhubert", "v2skit_avhubert.frontend:AvHubert")


@v2skit.hookimpl
def register_commands(subcommands):
    what = "weights of an official AV-HuBERT checkpoint -> initial weights of the visual frontend avhubert"
    command = subcommands.add_parser("import-avhubert", help=what)
    command.add_argument("checkpoint", type=Path, help="a .pt of its authors, pre-trained or fine-tuned")
    command.add_argument("-o", "--out", type=Path, required=True, help="folder for weights.safetensors and ledger.md")
    command.set_defaults(run=_run)


def _run(options):
    from v2skit_avhubert.command import run

    run(options.checkpoint, options.out)
