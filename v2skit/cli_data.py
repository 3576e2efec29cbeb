"""The commands ``v2skit data estimate`` and ``v2skit data check``."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.errors import UserError


def add_data_commands(commands: argparse._SubParsersAction) -> None:
    """Add ``data`` to the command line's parsers."""
    text = "before preparation, what it will take; after it, what came of it"
    data = commands.add_parser("data", help=text, description=text).add_subparsers(required=True, metavar="COMMAND")
    text = "disk, hours and time of stage 1, from a sample that is really prepared"
    command = data.add_parser("estimate", help=text, description=text, allow_abbrev=False)
    _add_recipe(command)
    command.add_argument("--sample", type=int, default=20, metavar="N", help="sources of each directory; default: 20")
    command.add_argument("--jobs", type=int, help="default: those of the config (prepare.jobs)")
    command.set_defaults(run=_estimate)
    text = "report on the recipe's data directories: check.md and check.json beside them"
    command = data.add_parser("check", help=text, description=text, allow_abbrev=False)
    _add_recipe(command)
    command.set_defaults(run=_check)


def _add_recipe(command: argparse.ArgumentParser) -> None:
    command.add_argument("--config", type=Path, default=Path("conf/mel.yaml"), help="default: conf/mel.yaml")
    command.add_argument("--work_dir", type=Path, default=Path("."), help="the recipe's folder; default: .")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a config key")
    command.add_argument("--seed", type=int, default=0, help="of what is drawn at random; default: 0")


def _recipe(options: argparse.Namespace):
    """The recipe that the options name; nothing is written to its experiment."""
    import torch

    from v2skit.config import load_config
    from v2skit.stages import Recipe

    config = load_config(options.config, options.set)
    return Recipe(config, options.work_dir, options.work_dir / "exp", force=False, device=torch.device("cpu"))


def _estimate(options: argparse.Namespace) -> None:
    from v2skit.data.estimate import estimate

    recipe = _recipe(options)
    if options.sample < 1:
        raise UserError(f"--sample {options.sample} must be at least 1")
    print(
        estimate(recipe.config, recipe.build_corpora(), recipe.data_folder, options.sample, options.jobs, options.seed)
    )


def _check(options: argparse.Namespace) -> None:
    from v2skit.data.check import check

    recipe = _recipe(options)
    data = recipe.config.data
    names = dict.fromkeys([*data.pretrain, data.train, data.pretrain_valid, data.valid, data.test])
    found = {name: recipe.data(name) for name in names if (recipe.data(name) / "utt2num_frames").is_file()}
    if not found:
        raise UserError(f"{recipe.data_folder} has none of {', '.join(names)}; stage 1 (v2skit prepare) makes them")
    print(check(found, data, recipe.config.prepare.filters, recipe.data_folder, recipe.build_corpora(), options.seed))
