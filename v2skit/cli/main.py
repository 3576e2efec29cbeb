"""The command line: parses, then calls one function per command."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

from v2skit.cli import (
    audit,
    breakdown,
    compare,
    components,
    data,
    diff,
    export_scores,
    info,
    leaderboard,
    listen,
    listen_score,
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
from v2skit.cli.options import Parser
from v2skit.errors import UserError, printable, reason_of
from v2skit.registry.trust import trusting
from v2skit.system.extras import missing
from v2skit.system.process import sleep_soon
from v2skit.version import __version__

COMMANDS = (
    components, plugins, stage, synth, synth_data, data, new_recipe, verify_resume, report, compare, breakdown, audit,
    diff, leaderboard, listen, listen_score, export_scores, stream, serve, pack, push, info,
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
    if arguments and arguments[0] in stage.STAGES and arguments[0] != "synth":
        parser.error(
            f"stages are run with: v2skit stage {arguments[0]}; if a run.sh printed this, its egs/stages.sh is of "
            "version 0.1: move that egs folder away and copy the recipe again with v2skit new-recipe"
        )
    try:
        builtin = list(parser.commands.choices)
        if arguments and arguments[0] not in (*builtin, "--version"):
            plugin_commands.add(parser.commands, builtin, arguments[0])  # loads all plug-ins
        options, unknown = parser.parse_known_args(arguments)
        if unknown:
            options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        options.argv = arguments
        with trusting(getattr(options, "trust_plugins", False)):
            options.run(options)
    except UserError as error:
        print(f"v2skit: error: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        lacking = missing(error, "this command")
        if lacking is None:
            raise
        print(f"v2skit: error: {lacking}", file=sys.stderr)
        return 1
    except UnicodeEncodeError as error:
        name = printable(error.object)[:200]
        print(f"v2skit: error: {name!r} is not UTF-8; rename the file or folder of that name", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(f"\nv2skit: {str(interrupt) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:  # a full disk, a folder that can't be written
        resumes = "; finished work is kept, the same command resumes" if getattr(options, "resumes", False) else ""
        print(f"v2skit: error: {reason_of(error)}{resumes}", file=sys.stderr)
        return 1
    return 0


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
