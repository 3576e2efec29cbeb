"""``v2skit serve``: a local web page to try a model."""

from __future__ import annotations

import argparse

from v2skit.cli.options import Commands, add_command, add_model, add_tracker, chosen_model, chosen_tracker


def add(commands: Commands) -> None:
    """Add the command."""
    text = "open a local page to try a model: drop a video or use the webcam, and listen to its speech"
    command = add_command(commands, "serve", text)
    add_model(command)
    add_tracker(command)
    command.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine only")
    command.add_argument("--port", type=int, default=7860, help="default: 7860")
    command.add_argument("--max_mb", type=int, default=200, help="size of a video, MB; default: 200")
    command.add_argument("--max_seconds", type=int, default=60, help="length of a video; default: 60")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C."""
    from v2skit.web.serve import serve

    limits = {"max_mb": options.max_mb, "max_seconds": options.max_seconds}
    how = {"device": options.device, "vocoder": options.vocoder, "tracker": chosen_tracker(options)}
    serve(chosen_model(options), options.host, options.port, **limits, **how)
