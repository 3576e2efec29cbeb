"""The delay between audio and video, on generated clips."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from v2skit.corpora.grid_grammar import sample_codes
from v2skit.corpora.mini.corpus import SAMPLES_PER_FRAME, make_utterance
from v2skit.corpora.mini.speech import VOICES
from v2skit.media.crops import read_crops
from v2skit.preparation.av_offset import MAX_FRAMES, measure_offset

CLIPS = 8


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[tuple[np.ndarray, np.ndarray]]:
    """Sound and mouth crops."""
    folder = tmp_path_factory.mktemp("mini")
    (folder / "av").mkdir()
    made = []
    for number, code in enumerate(sample_codes(CLIPS, np.random.default_rng(0))):
        row = make_utterance(folder, 0, 96, "train", VOICES[number % 4], code)
        path: Path = folder / "av" / row["id"]
        made.append((soundfile.read(path.with_suffix(".flac"))[0], read_crops(path.with_suffix(".mp4"))))
    return made


def shifted(audio: np.ndarray, frames: float) -> np.ndarray:
    """The audio with a delay, padded with silence."""
    samples = round(frames * SAMPLES_PER_FRAME)
    gap = np.zeros(abs(samples))
    return np.concatenate([gap, audio])[: len(audio)] if samples > 0 else np.concatenate([audio, gap])[-len(audio) :]


def test_a_shift_of_the_sound_is_measured(clips):
    found = {k: measure_offset([(shifted(s, k), c) for s, c in clips]) for k in (-5, -0.3, 0, 0.4, 2.5, 5)}
    assert abs(found[0].frames) < 1
    for frames, offset in found.items():
        assert offset.clips == CLIPS
        assert offset.frames - found[0].frames == pytest.approx(frames, abs=0.1)
        assert offset.low <= offset.frames <= offset.high < offset.low + 1.5


def test_the_delay_of_unrelated_clips_is_unknown(clips):
    others = [*clips[1:], clips[0]]
    pairs = []
    for (audio, _), (_, crops) in zip(clips, others, strict=True):
        frames = min(len(audio) // SAMPLES_PER_FRAME, len(crops))
        pairs.append((audio[: frames * SAMPLES_PER_FRAME], crops[:frames]))
    assert measure_offset(pairs).frames is None


def test_the_delay_of_few_or_empty_clips_is_unknown(clips):
    assert measure_offset(clips[:4]).frames is None and measure_offset([]).clips == 0
    still = [(audio, np.full_like(crops, 90)) for audio, crops in clips]
    short = [(s[: MAX_FRAMES * SAMPLES_PER_FRAME], c[:MAX_FRAMES]) for s, c in clips]
    silent = [(np.zeros_like(s), c) for s, c in clips]
    assert [measure_offset(some).clips for some in (still, short, silent)] == [0, 0, 0]


def test_it_is_a_function_of_the_seed(clips):
    assert measure_offset(clips, 1) == measure_offset(clips, 1)
