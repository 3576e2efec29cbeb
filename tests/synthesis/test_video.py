"""Any video in, speech of exactly its length out; a long one piece by piece, without seams."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile

import v2skit
from tests.cases.model import untrained_run
from tests.conftest import ISTFT, TINY
from tests.media_files import make_video
from v2skit.cli.main import main
from v2skit.config.features import Clock
from v2skit.synthesis import pipeline
from v2skit.synthesis import video as video_module
from v2skit.synthesis.video import Video

RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50), Fraction(60)]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("model"))


def synth(*arguments: str) -> int:
    return main(["synth", *arguments, "--device", "cpu"])


@pytest.mark.parametrize("rate", RATES, ids=lambda rate: f"{float(rate):.2f} fps")
def test_length_is_that_of_the_video_at_every_frame_rate(run, tmp_path, rate):
    frames = 31
    times = [float(n / rate) for n in range(frames)]
    video = make_video(tmp_path / "clip.mp4", times, (96, 96), fps=rate)
    assert synth(str(video), "--model", str(run), "-o", str(tmp_path / "speech.wav")) == 0
    info = soundfile.info(tmp_path / "speech.wav")
    assert info.samplerate == 24000 and abs(info.frames - frames / float(rate) * 24000) <= 4


def test_an_array_lasts_as_long_as_its_frames():
    frames = np.zeros((31, 8, 8, 3), np.uint8)
    for rate in RATES:
        made = Video.of_frames(frames, float(rate), Clock())
        assert len(list(made.frames)) == max(1, round(31 / rate * 25))
        assert abs(made.span.seconds - 31 / rate) < 1e-6 and made.seconds == pytest.approx(float(31 / rate))


def test_pictures_of_the_crops_are_kept_evenly(run, monkeypatch):
    monkeypatch.setattr(video_module, "PREVIEW_CROPS", 4)
    frames = np.repeat(np.arange(100, dtype=np.uint8)[:, None, None, None], 3, axis=3)
    frames = np.broadcast_to(frames, (100, 96, 96, 3))
    speech = v2skit.load(run, "cpu").synthesise_pieces(frames, 25, tracker=v2skit.tracker("none"))
    assert sum(map(len, speech)) == 100 * 960
    shown = speech.crops[:, 48, 48]
    assert 4 <= len(shown) < 8 and shown[0] == 0 and len(set(np.diff(shown))) == 1 and shown[-1] >= 75


LIMITED = {"encoder": {**TINY["networks"]["encoder"], "look_ahead_frames": 2, "attention_frames": 10}}
NETWORKS = {
    # The contexts cover the receptive fields: the difference is rounding.
    "limited": (LIMITED, 1e-5),
    "waveform": ({**LIMITED, "decoder": ISTFT}, 1e-5),
    # The state of a recurrent network fades within the 4 s of context.
    "recurrent": ({"encoder": {"type": "bigru", "dim": 16}}, 1e-5),
    # Attention is spread over the whole window, 28 s of the 44 s, most of all in an untrained model.
    "attention": ({}, 2e-2),
}


def moving(count: int) -> np.ndarray:
    """A bright square that grows and shrinks without a period, RGB (count,96,96,3)."""
    frames = np.full((count, 96, 96, 3), 60, np.uint8)
    steps = np.random.default_rng(1).normal(0.3, 0.3, count)
    for frame, half in zip(frames, (20 + 15 * np.sin(np.cumsum(steps))).astype(int), strict=True):
        frame[48 - half : 48 + half, 48 - half : 48 + half] = 200
    return frames


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(np.square(actual - expected).mean() / np.square(expected).mean()))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_long_clip_in_pieces_sounds_as_the_whole(tmp_path, monkeypatch, name):
    networks, allowed = NETWORKS[name]
    model = v2skit.load(untrained_run(tmp_path, **networks), "cpu")
    few, many, count = pipeline.FEW_FRAMES, pipeline.MANY_FRAMES, 1100
    assert count > 2 * many
    frames, tracker = moving(count), v2skit.tracker("none")
    speech = model.synthesise_pieces(frames, 25, tracker=tracker)
    pieces = list(speech)
    assert max(map(len, pieces)) <= 2 * many * 960
    actual = np.concatenate(pieces)
    monkeypatch.setattr(pipeline, "MANY_FRAMES", 10**6)
    expected = model.synthesise(frames, 25, tracker=tracker).waveform
    assert len(actual) == len(expected) == count * 960
    assert relative_error(actual, expected) < allowed
    steps = np.abs(np.diff(actual))
    seams = np.arange(few, count, few) * 960
    at_seams = [steps[seam - 3 : seam + 2].max() for seam in seams]
    elsewhere = steps[: len(steps) // 5 * 5].reshape(-1, 5).max(1)
    assert np.max(at_seams) <= elsewhere.max() and np.median(at_seams) < 2 * np.quantile(elsewhere, 0.9)


@pytest.mark.parametrize("name", NETWORKS)
def test_short_pieces_sound_as_the_whole(tmp_path, monkeypatch, name):
    """All parts, the vocoder too, compute pieces of 2 s, or the whole clip."""
    networks, allowed = NETWORKS[name]
    model = v2skit.load(untrained_run(tmp_path, **networks), "cpu")
    frames, tracker, waveforms = moving(300), v2skit.tracker("none"), []
    for together in (50, 10**6):
        monkeypatch.setattr(pipeline, "FEW_FRAMES", together)
        monkeypatch.setattr(pipeline, "MANY_FRAMES", together)
        waveforms.append(model.synthesise(frames, 25, tracker=tracker).waveform)
    assert relative_error(*waveforms) < allowed
