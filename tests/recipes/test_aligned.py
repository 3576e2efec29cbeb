"""Data directories whose audio is shifted to where a model's speech is."""

import numpy as np
import pytest

from tests.conftest import make_data
from v2skit.cli.main import main
from v2skit.data.data_dir import read_manifest
from v2skit.media.audio import read_audio, write_audio
from v2skit.recipes.aligned import LAGS, earlier
from v2skit.recipes.subsets import check_source
from v2skit.signal.delay import delayed

RATE = 24000
SECONDS = 2.4


def sounds(directory, count: int = 6):
    """A data directory whose audio is bursts of noise at random places in a quiet noise."""
    utterances = make_data(directory, count, video=False)
    for number, u in enumerate(utterances):
        random = np.random.default_rng(number)
        sound = random.normal(0, 1e-3, round(SECONDS * RATE))
        for place in np.linspace(0.2, 2.1, 12) + random.uniform(-0.05, 0.05, 12):
            burst = slice(round(place * RATE), round((place + random.uniform(0.03, 0.08)) * RATE))
            sound[burst] += random.normal(0, 0.2, burst.stop - burst.start)
        write_audio(u.audio, sound.astype(np.float32), RATE)
    return utterances


def speech_of(utterances, folder, lags_ms) -> None:
    """The utterances' audio, which is later than the speech by these lags, as speech."""
    for u, lag in zip(utterances, lags_ms, strict=True):
        write_audio(folder / f"{u.id}.wav", delayed(read_audio(u.audio, RATE), -round(lag * RATE / 1000)), RATE)


def test_the_audio_is_where_the_speech_is_but_for_the_speakers_median_lag(tmp_path, capsys):
    utterances = sounds(tmp_path / "train")
    lags = [30, 5, 10, 5, -20, 5]  # of s0 and s1 in turn: medians 10 and 5
    speech_of(utterances, tmp_path / "speech", lags)
    assert main(["data", "align", str(tmp_path / "train"), "--speech", str(tmp_path / "speech")]) == 0
    out = tmp_path / "train_aligned"
    said = capsys.readouterr().out
    assert f"{out}: 6 utterances, shifted by lags with a standard deviation of 15 ms" in said
    assert float(said.split("have a correlation of ")[1]) > 0.99
    rows = [line.split("\t") for line in (out / LAGS).read_text().splitlines()]
    expected = {u.id: lag - (10 if u.speaker == "s0" else 5) for u, lag in zip(utterances, lags, strict=True)}
    for name, shift, first, second in rows:
        assert abs(float(shift) - expected[name]) < 1.5
        assert abs(float(first) - float(second)) < 3
    before, shifts = {u.id: u for u in utterances}, {name: float(shift) for name, shift, *_ in rows}
    for u in read_manifest(out):
        of = before[u.id]
        assert (u.speaker, u.text, u.frames) == (of.speaker, of.text, of.frames)
        now, then = read_audio(u.audio, RATE), read_audio(of.audio, RATE)
        middle, shift = slice(RATE // 4, -RATE // 4), round(shifts[u.id] * RATE / 1000)
        assert len(now) == len(then)
        errors = [np.abs(now - delayed(then, -shift + step))[middle].max() for step in (-1, 0, 1)]
        assert min(errors) < 1e-4
    check_source(out)


def test_background_noise_goes_on_where_audio_is_shifted_in():
    noise = np.random.default_rng(0).normal(0, 0.1, 1000).astype(np.float32)
    for samples in (-300, -1, 0, 1, 300):
        out = earlier(noise, samples)
        assert out.shape == noise.shape and out.dtype == np.float32 and (out != 0).all()
        inner = slice(max(0, -samples), min(1000, 1000 - samples))
        assert np.array_equal(out[inner], noise[inner.start + samples : inner.stop + samples])
    assert earlier(noise[:3], 100).shape == (3,)


def test_speech_that_is_missing_is_named_with_the_command_that_writes_it(tmp_path, capsys):
    utterances = sounds(tmp_path / "train", 3)
    command = ["data", "align", str(tmp_path / "train"), "--speech", str(tmp_path / "speech")]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert f"lacks 3 of 3 files, such as {utterances[0].id}.wav; v2skit synth-data {tmp_path}/train" in error
    speech_of(utterances, tmp_path / "speech", [0, 0, 0])
    (tmp_path / "train/wav.scp").unlink()
    assert main(command) == 1
    assert f"train has no audio of '{utterances[0].id}'; give a data directory whose" in capsys.readouterr().err
    assert not (tmp_path / "train_aligned").exists()


def test_it_is_kept_and_other_speech_or_clips_are_refused(tmp_path, capsys):
    utterances = sounds(tmp_path / "train", 3)
    speech = tmp_path / "speech"
    speech_of(utterances, speech, [10, 0, -10])
    command = ["data", "align", str(tmp_path / "train"), "--speech", str(speech)]
    assert main(command) == 0
    stored = (tmp_path / "train_aligned/wav.scp").stat()
    assert main(command) == 0 and (tmp_path / "train_aligned/wav.scp").stat() == stored
    speech_of(utterances, speech, [20, 0, -10])
    assert main(command) == 1
    assert f"exists, and is made by v2skit data align --speech {speech}; name another" in capsys.readouterr().err
    sounds(tmp_path / "train", 2)
    assert main(command) == 1
    remedy = f"v2skit data align {tmp_path}/train --speech {speech} --out {tmp_path}/train_aligned"
    assert remedy in capsys.readouterr().err


def test_a_lag_beyond_the_bounds_is_not_taken_for_their_end(tmp_path):
    utterances = sounds(tmp_path / "train", 3)
    speech_of(utterances, tmp_path / "speech", [0, 130, 20])
    assert main(["data", "align", str(tmp_path / "train"), "--speech", str(tmp_path / "speech")]) == 0
    rows = (line.split("\t") for line in (tmp_path / "train_aligned" / LAGS).read_text().splitlines())
    assert all(abs(float(value)) < 99 for row in rows for value in row[1:])


@pytest.mark.parametrize("silent", ["audio", "speech"])
def test_silence_is_not_shifted(tmp_path, silent):
    utterances = sounds(tmp_path / "train", 1)
    speech_of(utterances, tmp_path / "speech", [0])
    path = utterances[0].audio if silent == "audio" else tmp_path / "speech" / f"{utterances[0].id}.wav"
    write_audio(path, np.zeros(round(SECONDS * RATE), np.float32), RATE)
    assert main(["data", "align", str(tmp_path / "train"), "--speech", str(tmp_path / "speech")]) == 0
    assert (tmp_path / "train_aligned" / LAGS).read_text().split("\t")[1:] == ["0.0", "0.0", "0.0\n"]
