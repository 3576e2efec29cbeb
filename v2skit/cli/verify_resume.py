"""``v2skit verify-resume``: a check that interrupted training resumes exactly."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command, add_recipe, config_path


def add(commands: Commands) -> None:
    """Add the command."""
    text = "kill training at random moments, resume it, and compare all losses and weights with an uninterrupted run"
    command = add_command(commands, "verify-resume", text)
    add_recipe(command)
    command.add_argument("--exp", type=Path, help="for the two runs, emptied first; default: exp/verify_resume")
    command.add_argument("--steps", type=int, default=40, help="of pre-training; default: 40")
    command.add_argument("--kills", type=int, default=3, help="default: 3")
    command.add_argument("--seed", type=int, default=0, help="of the moments; default: 0")
    command.add_argument("--device", default="cpu", help="auto, cpu or cuda; default: cpu, where results are exact")
    command.add_argument("--nproc", type=int, default=1, help="training processes; default: 1")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Run the check and print what was compared."""
    from v2skit.recipes.verify_resume import Check, verify_resume

    folder = options.exp or options.work_dir / "exp/verify_resume"
    how = {name: getattr(options, name) for name in ("work_dir", "steps", "kills", "seed", "device", "nproc")}
    print(verify_resume(Check(config=config_path(options), folder=folder, sets=options.set, **how)))
