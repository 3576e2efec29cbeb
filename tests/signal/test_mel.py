"""The log-mel spectrogram and the settings that define it."""

import pytest
import torch

from v2skit.config.features import Clock, Mel, check_same_features, feature_hash, feature_settings
from v2skit.errors import UserError
from v2skit.signal.mel import MelSpectrogram


@pytest.mark.parametrize("frames", [1, 2, 30])
def test_mel_is_exactly_as_long_as_the_video(frames):
    mel = MelSpectrogram(Clock(), Mel())(torch.randn(2, frames * 960))
    assert mel.shape == (2, frames * 4, 80) and torch.isfinite(mel).all()


def test_padding_changes_only_frames_whose_window_it_overlaps():
    spectrogram, sound = MelSpectrogram(Clock(), Mel()), torch.randn(1, 960 * 10)
    plain, padded = spectrogram(sound), spectrogram(torch.cat([sound, torch.zeros(1, 960 * 5)], 1))
    assert torch.allclose(plain, padded[:, :40], atol=1e-5)


def test_a_tone_is_in_the_bin_of_its_frequency_and_in_its_frame():
    time = torch.arange(24000) / 24000
    tone = torch.sin(2 * torch.pi * 1000 * time) * ((time >= 0.5) & (time < 0.6))
    mel = MelSpectrogram(Clock(), Mel())(tone[None])[0]
    frame, loudest = divmod(int(mel.argmax()), 80)
    assert 50 <= frame < 60
    centres = MelSpectrogram(Clock(), Mel()).filters.argmax(0) * 24000 / 2048
    assert abs(centres[loudest] - 1000) < 60


def test_floor_and_logarithm():
    silent = torch.zeros(1, 960)
    assert torch.allclose(MelSpectrogram(Clock(), Mel(floor=1e-3))(silent), torch.tensor(1e-3).log())
    assert torch.allclose(MelSpectrogram(Clock(), Mel(log="log10"))(silent), torch.tensor(-4.0))


def test_wrong_settings_are_errors():
    with pytest.raises(UserError, match="hop must divide 960"):
        MelSpectrogram(Clock(), Mel(hop=256))
    with pytest.raises(UserError, match="f_max: 12000.0 Hz is above half"):
        MelSpectrogram(Clock(16000, 25), Mel(hop=160))


def test_settings_are_hashed_and_compared():
    one, other = feature_settings(Clock(), Mel()), feature_settings(Clock(), Mel(f_min=80))
    assert feature_hash(one) != feature_hash(other) and feature_hash(one) == feature_hash(dict(one))
    check_same_features(one, dict(one), "a", "b")
    with pytest.raises(UserError, match="f_min: 0.0 in the model, 80 in the vocoder"):
        check_same_features(one, other, "the model", "the vocoder")
