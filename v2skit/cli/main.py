"""The command line: parses, then calls one function per command."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence

from v2skit.cli import (
    audit,
    average,
    breakdown,
    check_plugin,
    compare,
    components,
    data,
    diff,
    evaluate,
    export,
    export_scores,
    info,
    leaderboard,
    listen,
    listen_score,
    new_plugin,
    new_recipe,
    pack,
    plugin_commands,
    plugins,
    push,
    report,
    serve,
    stage,
    stream,
    synth,
    synth_data,
    verify_resume,
)
from v2skit.cli.failures import status_of
from v2skit.cli.options import Parser
from v2skit.registry.trust import trusting
from v2skit.system.process import sleep_soon
from v2skit.version import __version__

COMMANDS = (
    components, plugins, stage, synth, synth_data, evaluate, data, new_recipe, new_plugin, check_plugin, verify_resume,
    report, compare, breakdown, audit, diff, leaderboard, listen, listen_score, export_scores, stream, serve, pack,
    push, export, average, info,
)  # fmt: skip
"""In the order of ``v2skit --help``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit status: 0, 1 for an error of the user's, 130 after Ctrl-C. Wrong usage exits with
    status 2."""
    sleep_soon()
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            output.reconfigure(errors="backslashreplace")  # names of files need not be valid in its encoding
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser()
    options = argparse.Namespace()

    def run() -> None:
        nonlocal options
        options = _parsed(parser, arguments)
        with trusting(getattr(options, "trust_plugins", False)):
            options.run(options)

    return status_of(run, resumes=lambda: getattr(options, "resumes", False))


def _parsed(parser: Parser, arguments: list[str]) -> argparse.Namespace:
    """The options of a command, which may be of a plug-in."""
    if arguments and arguments[0] in stage.STAGES and arguments[0] != "synth":
        parser.error(
            f"stages are run with: v2skit stage {arguments[0]}; if a run.sh printed this, its egs/stages.sh is of "
            "version 0.1: move that egs folder away and copy the recipe again with v2skit new-recipe"
        )
    builtin = list(parser.commands.choices)
    if arguments and arguments[0] not in (*builtin, "--version"):
        plugin_commands.add(parser.commands, builtin, arguments[0])  # loads all plug-ins
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.argv = arguments
    return options


def _parser() -> Parser:
    """The parser, with the commands of v2skit."""
    parser = Parser("v2skit", description="Video-to-speech synthesis toolkit", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"v2skit {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    parser.commands = commands
    return parser


if __name__ == "__main__":
    sys.exit(main())
