"""``v2skit stage``: the stages of a recipe."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from v2skit.cli.options import Commands, add_command, add_recipe, add_trust, config_path, warn_of_broken
from v2skit.errors import UserError
from v2skit.registry import plugins

if TYPE_CHECKING:
    import torch

    from v2skit.training.distributed import Processes

STAGES = {
    "obtain": "stage 0: generate the corpus, or check that it is there",
    "prepare": "stage 1: prepare data directories",
    "pretrain": "stage 2: train the audio-to-audio model, or the vocoder (trains: vocoder)",
    "transfer": "stage 3: initialise the video-to-audio model from it, with a ledger",
    "finetune": "stage 4: train the video-to-audio model, and one from scratch; or the vocoder, on predicted mels",
    "synth": "stage 5: synthesise speech for the test set",
    "score": "stage 6: score it",
}


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "stage", "run a stage of a recipe; a finished stage is skipped")
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = "stages:\n" + "\n".join(f"  {name:10}{text}" for name, text in STAGES.items())
    command.hint = (
        "speech for videos: v2skit synth VIDEO... --model M; for a data directory: v2skit synth-data; another vocoder: "
        "--set vocoder='{type: trained, run: RUN}'"
    )
    command.add_argument("stage", choices=STAGES, metavar="NAME", help=", ".join(STAGES))
    add_recipe(command)
    command.add_argument("--exp", type=Path, help="folder of the experiment; default: exp/<config name>")
    command.add_argument("--force", action="store_true", help="run the stage again although it is finished")
    text = "the protocol of stage 6, NAME@VERSION or a file; as --set scoring.protocol=NAME"
    command.add_argument("--protocol", metavar="NAME", help=text)
    add_trust(command)
    command.add_argument("--device", default="auto", help="auto, cpu or cuda; default: auto")
    command.add_argument("--nproc", type=int, default=1, help="training processes on this machine; default: 1")
    command.add_argument("--nnodes", type=int, default=1, help="machines that run this command; default: 1")
    text = "rendezvous of the machines; default: found in a Slurm allocation"
    command.add_argument("--rdzv", default="", metavar="HOST:PORT", help=text)
    command.set_defaults(run=run, resumes=True)


def run(options: argparse.Namespace) -> None:
    """Run a stage, in several processes where it trains."""
    from v2skit.config.load import load_config
    from v2skit.config.plugin_files import Copies
    from v2skit.recipes import stages
    from v2skit.recipes.run_record import PLUGINS
    from v2skit.training.group import Group
    from v2skit.training.launch import launched, together

    if not launched():
        warn_of_broken(plugins.registry().broken)
    exp = options.exp or options.work_dir / "exp" / options.config.stem
    note = print if not launched() else str  # once, not by each of several processes
    copies = Copies(exp / PLUGINS, preferred=options.stage in ("synth", "score"), note=note)
    protocol = [f"scoring.protocol={json.dumps(options.protocol)}"] if options.protocol is not None else []
    config = load_config(config_path(options), [*options.set, *protocol], copies)
    if (options.work_dir / config.data.folder).resolve() in (exp.resolve(), *exp.resolve().parents):
        raise UserError(f"--exp {exp} is where the data directories are; give another folder")
    training = getattr(config, options.stage) if options.stage in stages.TRAIN else None

    def work(processes: Processes, device: torch.device) -> None:
        if training or processes.first:  # only training is distributed
            stages.run(options.stage, stages.Recipe(config, options.work_dir, exp, options.force, device, processes))

    group = Group(options.nproc if training else 1, options.nnodes, options.rdzv)
    together(work, group, options.argv, options.stage, options.device, training)
