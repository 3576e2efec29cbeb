"""Prepared audio files."""

import errno
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from v2skit.errors import UserError
from v2skit.media.audio import read_audio, write_audio


def test_round_trip_and_segments(tmp_path):
    sound = np.linspace(-1.5, 1.5, 960).astype(np.float32)
    for name in ("a.wav", "a.flac"):
        write_audio(tmp_path / name, sound, 24000)
        again = read_audio(tmp_path / name, 24000, 100, 1000)
        assert again.shape == (1000,) and not again[860:].any()
        assert np.abs(again[:860] - np.clip(sound, -1, 1)[100:]).max() < 1e-4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.flac", "a.wav"]


def test_errors(tmp_path):
    soundfile.write(tmp_path / "two.wav", np.zeros((10, 2)), 24000)
    with pytest.raises(UserError, match="2 channels at 24000 Hz, expected mono"):
        read_audio(tmp_path / "two.wav", 24000)
    soundfile.write(tmp_path / "slow.wav", np.zeros(10), 8000)
    with pytest.raises(UserError, match="at 8000 Hz, expected mono at 24000 Hz"):
        read_audio(tmp_path / "slow.wav", 24000)
    with pytest.raises(UserError, match="can't be read"):
        read_audio(tmp_path / "none.wav", 24000)


@pytest.mark.parametrize("free, number", [(0, errno.ENOSPC), (10**9, None)])
def test_a_full_disk_is_named(tmp_path, monkeypatch, free, number):
    def fails(file, samples):
        raise soundfile.LibsndfileError(2)  # "System error.", whatever it was

    monkeypatch.setattr(soundfile.SoundFile, "write", fails)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    with pytest.raises(OSError, match="No space left" if number else "can't be written: .*System error") as error:
        write_audio(tmp_path / "a.wav", np.zeros(10), 24000)
    assert error.value.errno == number and not list(tmp_path.iterdir())
