"""``v2skit new-recipe``: a recipe for one's own data."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command


def add(commands: Commands) -> None:
    """Add the command."""
    text = "copy a shipped recipe, or create one for a folder of videos; it can be run as it is"
    command = add_command(commands, "new-recipe", text)
    text = "of a shipped recipe (mini, grid, ...) or a new one; it is written to egs/NAME"
    command.add_argument("name", help=text)
    command.add_argument("--corpus_dir", type=Path, help="folder of the videos; run.sh then needs no option")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Create the recipe."""
    from v2skit.recipes.new_recipe import new_recipe

    print(new_recipe(options.name, options.corpus_dir))
