"""Frames that came faster than they were computed are computed together."""

import threading

import numpy as np
import pytest

from tests.synthesis.live.conftest import NOBODY, moving, offline
from v2skit.media.video import read_timed_frames
from v2skit.synthesis.live.live import LiveSynthesis
from v2skit.synthesis.live.sources import Source
from v2skit.synthesis.pipeline import CATCH_UP_FRAMES
from v2skit.tracking.crop import mouth_crops
from v2skit.tracking.none import NoTracker


def frames_of(count):
    """(time, RGB frame) for a source."""
    return [(number / 25, crop[..., None].repeat(3, 2)) for number, crop in enumerate(moving(count))]


@pytest.mark.parametrize(
    ("waiting", "groups"),
    [
        ([False] * 41, [1] * 41),
        ([True] * 41, [CATCH_UP_FRAMES] * 4 + [1]),
        ([False, True, True, False, True, False] + [False] * 35, [1, 3, 2] + [1] * 35),
    ],
    ids=["in time", "late throughout", "late for a while"],
)
def test_frames_that_wait_are_computed_together(synthesiser, video, monkeypatch, waiting, groups):
    computed = []
    pipeline = synthesiser.pipeline(NOBODY, 1)
    push, answers = pipeline.push, iter(waiting)
    monkeypatch.setattr(pipeline, "push", lambda crops: (computed.append(len(crops)), push(crops))[1])
    crops = mouth_crops((frame for _, frame in read_timed_frames(video)), NoTracker(), synthesiser.config.crop, 25)
    pieces = list(pipeline.run(crops, lambda: next(answers)))
    assert computed == groups
    assert np.concatenate(pieces) == pytest.approx(offline(synthesiser, video), abs=1e-4)


def test_a_live_source_tells_whether_frames_wait():
    captured = threading.Event()

    def five():
        yield from frames_of(5)
        captured.set()

    source = Source(five(), 25, live=True)
    frames = iter(source)
    assert not source.waiting() and next(frames).time == 0
    assert captured.wait(10) and source.waiting() and len(list(frames)) == 4 and not source.waiting()
    behind = Source(iter(frames_of(5)), 25, live=False)
    next(iter(behind))
    assert not behind.waiting()  # it waits for who takes its frames


def test_a_run_that_is_behind_catches_up(synthesiser):
    arrived = threading.Event()

    def frames():
        yield from frames_of(24)
        arrived.set()

    def sink(piece):
        assert arrived.wait(10)  # from the first sound on, all frames wait
        pieces.append(len(piece))

    pieces: list[int] = []
    report = LiveSynthesis(synthesiser, NoTracker(), NOBODY, 1).run(Source(frames(), 25, live=True), sink)
    assert sum(pieces) == 24 * 960 and report.dropped == 0
    assert len(pieces) <= 5  # frame by frame they are 18
