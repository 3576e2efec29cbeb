"""``v2skit stream``: speech for live video."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from v2skit.cli.options import (
    Commands,
    add_command,
    add_model,
    add_talker,
    add_tracker,
    chosen_voice,
    load_model,
    print_headline,
)
from v2skit.errors import UserError


def add(commands: Commands) -> None:
    """Add the command."""
    text = "synthesise speech for live video: from a camera, a file or raw frames, to a sound device or a file"
    command = add_command(commands, "stream", text)
    text = "camera[:N], a file, or - (raw RGB on standard input); default: camera"
    command.add_argument("source", nargs="?", default="camera", help=text)
    add_model(command, live=True)
    add_tracker(command)
    add_talker(command)
    command.add_argument("-o", "--out", default="device", help="device[:NAME], .wav or - (raw 16-bit); default: device")
    command.add_argument("--size", metavar="WxH", help="of raw frames, or requested of the camera")
    command.add_argument("--fps", type=float, help="likewise, frames per second")
    command.add_argument("--realtime", action="store_true", help="read a file at its frame rate, as from a camera")
    command.add_argument("--force", action="store_true", help="overwrite an existing sound file, if v2skit wrote it")
    text = "frames that are computed together; default: 1"
    command.add_argument("--chunk", type=int, default=1, metavar="FRAMES", help=text)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Synthesise until the source ends, Ctrl-C or a signal to end, then print the measurements."""
    from v2skit.synthesis.files import write_picture
    from v2skit.synthesis.live.live import LiveSynthesis
    from v2skit.synthesis.live.sinks import check_target, open_sink
    from v2skit.synthesis.live.sources import open_source
    from v2skit.tracking.follow import FacesError

    model, tracker = load_model(options)
    live = LiveSynthesis(model, tracker, chosen_voice(options, model), options.chunk)
    source = open_source(options.source, options.size, options.fps, options.realtime)
    check_target(options.out, source.path, options.force)
    print_headline(model, sys.stderr)
    with _interrupted_by(signal.SIGTERM, signal.SIGHUP), open_sink(options.out, model.sample_rate) as sink:
        latency = f"algorithmic latency {live.algorithmic_latency * 1000:.0f} ms"
        print(f"synthesising speech for {options.source}, {latency}; Ctrl-C ends", file=sys.stderr)
        report = live.run(source, sink)
    print(report, file=sys.stderr)
    if isinstance(report.error, FacesError):
        raise UserError(f"{report.error}{write_picture(Path('faces.png'), report.error.picture)}")
    if report.error:
        raise report.error


@contextmanager
def _interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    """The first of these signals acts as Ctrl-C does: what is written so far is kept. Later ones do nothing, since a
    terminal that closes may send two; those that are ignored, as under nohup, stay so."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for other in before:
            signal.signal(other, signal.SIG_IGN)
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()  # no other thread may set handlers
    handlers = {number: signal.getsignal(number) for number in numbers if in_main}
    before = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
