"""Signals that end ``v2skit stream``, and those that don't."""

from __future__ import annotations

import io
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import soundfile

from tests.synthesis.live.conftest import moving
from v2skit.cli.main import main
from v2skit.synthesis.live.sources import Source

FRAMES, SAMPLES = 41, 960


class Frames(io.BytesIO):
    """Raw frames on standard input; a signal arrives with the 30th."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(moving(FRAMES)[..., None].repeat(3, 3).tobytes())
        self.number = number

    def read(self, count: int | None = -1) -> bytes:
        if self.tell() == 29 * 96 * 96 * 3:
            signal.raise_signal(self.number)
        return super().read(count)


@pytest.fixture
def stream(packed, tmp_path, monkeypatch):
    """Runs the command for a signal -> (status, path of the speech)."""

    def run(number: signal.Signals) -> tuple[int, Path]:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=Frames(number)))
        out = tmp_path / "speech.wav"
        command = ["stream", "-", "--size", "96x96", "--fps", "25", "--model", str(packed), "-o", str(out)]
        return main([*command, "--device", "cpu"]), out

    return run


@pytest.fixture
def handles():
    """Handles a signal in another way during a test."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    yield signal.signal
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_second_signal_does_not_discard_what_the_first_one_kept(stream, handles, monkeypatch, number):
    """A terminal that closes may send two."""
    handles(number, before := signal.default_int_handler)  # ignored under nohup
    monkeypatch.setattr(Source, "close", lambda source: signal.raise_signal(number))
    status, out = stream(number)
    assert status == 0 and 0 < soundfile.info(out).frames < FRAMES * SAMPLES
    assert signal.getsignal(number) == before


def test_a_signal_that_is_ignored_stays_so(stream, handles):
    """As under nohup."""
    handles(signal.SIGHUP, signal.SIG_IGN)
    status, out = stream(signal.SIGHUP)
    assert status == 0 and soundfile.info(out).frames == FRAMES * SAMPLES
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_another_thread_than_the_main_one_handles_no_signals(stream, handles):
    handles(signal.SIGTERM, signal.SIG_IGN)
    with ThreadPoolExecutor(1) as pool:
        status, out = pool.submit(stream, signal.SIGTERM).result()
    assert status == 0 and soundfile.info(out).frames == FRAMES * SAMPLES
