"""``v2skit audit``: leaks of an experiment."""

from __future__ import annotations

import argparse
from pathlib import Path

from v2skit.cli.options import Commands, add_command, add_trust
from v2skit.errors import UserError
from v2skit.recipes.findings import KINDS


def add(commands: Commands) -> None:
    """Add the command."""
    text = (
        "look for leaks: synthesise test clips again with other ground-truth audio, and compare the splits; the exit "
        "status is 1 where something is found"
    )
    command = add_command(commands, "audit", text)
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = "kinds of findings:\n" + "\n".join(f"  {kind:10} {what}" for kind, what in KINDS.items())
    command.add_argument("exp", type=Path, metavar="EXP", help="folder of the experiment, with a finished model")
    command.add_argument("--work_dir", type=Path, default=Path(), help="the recipe's folder; default: .")
    text = "that stage 5 had; default: the one that is stored with the model"
    command.add_argument("--config", type=Path, help=text)
    command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a key of --config")
    command.add_argument("--clips", type=int, default=3, help="test clips that are synthesised again; default: 3")
    text = "count findings of this kind as facts; may be given again"
    command.add_argument("--allow", action="append", default=[], choices=KINDS, help=text)
    command.add_argument("--device", default="cpu", help="auto, cpu or cuda; default: cpu, where results are exact")
    add_trust(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Audit the experiment and print what was checked and found. Raises UserError where something was found."""
    from v2skit.config.load import load_config
    from v2skit.config.plugin_files import Copies
    from v2skit.recipes.audit import NAME, audit
    from v2skit.recipes.recipe import Recipe
    from v2skit.recipes.run_record import PLUGINS, config_of
    from v2skit.system.devices import choose_device

    if options.set and not options.config:
        raise UserError("--set overrides keys of a config; give that too, e.g. --config conf/mel.yaml")
    if options.config:
        config = load_config(options.config, options.set, Copies(options.exp / PLUGINS, preferred=True))
    else:
        config = config_of(options.exp)
    recipe = Recipe(config, options.work_dir, options.exp, force=False, device=choose_device(options.device))
    found = audit(recipe, options.clips, options.allow)
    print(found)
    if found.findings:
        count = f"{len(found.findings)} finding{'s' if len(found.findings) > 1 else ''}"
        raise UserError(f"{count}, see above and {options.exp / NAME}; --allow KIND accepts a kind")
    print(f"no leak found: {options.exp / NAME}")
