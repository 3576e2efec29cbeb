"""``v2skit data``: commands about a recipe's data."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add ``data`` with its commands to the command line."""
    text = "look at a recipe's data"
    parser = commands.add_parser("data", help=text, description=text, allow_abbrev=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    text = "tell the hours, disk and time that preparation (stage 1) will take, from samples"
    command = commands.add_parser("estimate", help=text, description=text, allow_abbrev=False)
    command.add_argument("--config", type=Path, default=Path("conf/mel.yaml"), help="default: conf/mel.yaml")
    command.add_argument("--work_dir", type=Path, default=Path("."), help="the recipe's folder; default: .")
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a config key")
    text = "sources to prepare for it, audio-visual and audio-only ones apart; default: 20"
    command.add_argument("--sample", type=int, default=20, metavar="N", help=text)
    command.add_argument("--seed", type=int, default=0, help="of the samples; default: 0")
    command.set_defaults(run=estimate_data)


def estimate_data(options: argparse.Namespace) -> None:
    """``v2skit data estimate``."""
    import torch

    from v2skit.config import load_config
    from v2skit.data.estimate import estimate
    from v2skit.data.estimate_text import tell
    from v2skit.stages.data import check_names
    from v2skit.stages.recipe import Recipe

    config = load_config(options.config, options.set)
    recipe = Recipe(config, options.work_dir, options.work_dir / "exp", force=False, device=torch.device("cpu"))
    corpora = recipe.build_corpora()
    for corpus in corpora:
        print(corpus.obtain())
    check_names(corpora)
    found = estimate(
        corpora,
        tracker=config.tracker,
        clock=config.clock,
        crop=config.crop,
        output=recipe.data_folder,
        settings=config.prepare,
        video_only_ok={config.data.test},
        sample=options.sample,
        seed=options.seed,
    )
    print(tell(found))
