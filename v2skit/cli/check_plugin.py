"""``v2skit check-plugin``: the contract checks of a plug-in's components."""

from __future__ import annotations

import argparse

from v2skit.cli.options import Commands, add_command
from v2skit.errors import UserError


def add(commands: Commands) -> None:
    """Add the command."""
    text = "check the components of a plug-in: shapes, padding, gradients, determinism, context, bfloat16, export, docs"
    command = add_command(commands, "check-plugin", text)
    command.add_argument("name", metavar="NAME", help="an installed plug-in, as v2skit plugins lists it, or its file")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print the findings, one in a line. Raises UserError where there are any."""
    from v2skit.testing import check_plugin

    findings = check_plugin(options.name)
    for finding in findings:
        print(finding)
    if findings:
        count, them = (f"{len(findings)} findings", "them") if len(findings) > 1 else ("1 finding", "it")
        raise UserError(f"plug-in '{options.name}' has {count}; correct {them} and check again")
    print(f"plug-in '{options.name}': no findings")
