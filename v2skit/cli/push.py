"""``v2skit push``: a packed model to a hub."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from v2skit.cli.options import Commands, add_command


def add(commands: Commands) -> None:
    """Add the command."""
    command = add_command(commands, "push", "push a packed model and its card to a hub, or write its demo")
    command.add_argument("pack", type=Path, metavar="PACK", help="a file of v2skit pack")
    command.add_argument("address", metavar="hf://owner/name", help="the repository, which is created where it is new")
    command.add_argument("--private", action="store_true", help="a repository for its owners only")
    text = "a language of the speech, e.g. en; may be given again"
    command.add_argument("--language", action="append", default=[], metavar="CODE", help=text)
    text = "push nothing, and write into this folder what would be pushed"
    command.add_argument("--dry-run", type=Path, metavar="DIR", help=text)
    text = "push nothing, and write into this folder a Gradio demo of the pushed model, for a Space"
    command.add_argument("--demo", type=Path, metavar="DIR", help=text)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Push the pack, or write the folders that the options name."""
    from v2skit.hub.address import Address
    from v2skit.models.pack_header import read_header
    from v2skit.publishing.card import unstated
    from v2skit.publishing.demo import write_demo
    from v2skit.publishing.push import dry_run, push

    address = Address.parse(options.address)
    lacking = unstated(read_header(options.pack).card)
    if lacking:
        print(f"v2skit: the card does not state {', '.join(lacking)}; pack again with --card FILE", file=sys.stderr)
    files = dry_run(options.pack, address, options.dry_run, options.language) if options.dry_run else []
    files += write_demo(options.pack, address, options.demo) if options.demo else []
    if options.dry_run or options.demo:
        print("\n".join(map(str, files)))
        return
    print(f"pushed: {push(options.pack, address, options.private, options.language)}")
    print(f"v2skit synth clip.mp4 --model {address}")
