"""Mel correction brings a waveform's mel closer to the input mel, and does not change a correct waveform. Where the
input mel is a smooth prediction, it makes a vocoder's output worse."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from v2skit.config.features import Clock, Mel
from v2skit.corpora.mini.speech import VOICES, speak
from v2skit.evaluation.stoi import Estoi
from v2skit.models.vocoders.correction import ROUNDS, MelCorrection
from v2skit.signal.mel import MelSpectrogram


def speechlike(frames: int) -> torch.Tensor:
    """Harmonics of a gliding pitch, louder and softer."""
    time = torch.arange(frames * 960) / 24000
    phase = 2 * torch.pi * (120 * time + 40 * time**2)
    loud = 0.6 + 0.4 * torch.sin(2 * torch.pi * 3 * time)
    return (0.1 * loud * sum(torch.sin(n * phase) / n for n in range(1, 20)))[None]


@pytest.mark.parametrize("mel", [Mel(), Mel(log="log10", floor=1e-10)], ids=["natural", "log10"])
def test_a_correct_waveform_stays_and_a_wrong_one_comes_closer(mel):
    spectrogram, sound = MelSpectrogram(Clock(), mel), speechlike(20)
    asked = spectrogram(sound)
    once = MelCorrection(Clock(), mel, 1)
    assert torch.allclose(once(sound, asked), sound, atol=1e-5)
    time = torch.arange(sound.shape[1]) / 24000
    wrong = sound * (1 + 0.5 * torch.sin(2 * torch.pi * 2 * time)) * 0.7
    errors = [
        (spectrogram(MelCorrection(Clock(), mel, n)(wrong, asked)) - asked).abs().mean().item() for n in (0, 1, 4)
    ]
    assert errors[1] < 0.5 * errors[0] and errors[2] < 0.5 * errors[1]
    assert ((MelCorrection(Clock(), mel, 4)(wrong, asked) - sound).norm() / sound.norm()) < 0.1


def test_gain_is_limited_and_uncovered_bins_keep_theirs():
    mel = Mel(f_min=300, f_max=6000)
    sound = 0.1 * torch.randn(1, 8 * 960, generator=torch.Generator().manual_seed(0))
    spectrogram = MelSpectrogram(Clock(), mel)
    once = MelCorrection(Clock(), mel, 1)
    louder = once(sound, spectrogram(sound) + 100)
    spectra = [spectrogram.stft(w).abs().mean((0, 2)) for w in (sound, louder)]
    hertz = torch.linspace(0, 12000, 1025)
    assert (spectra[1] / spectra[0])[(hertz > 1000) & (hertz < 4000)].median() == pytest.approx(4, rel=0.05)
    assert (spectra[1] / spectra[0])[hertz > 8000].median() == pytest.approx(1, rel=0.2)


def smoothed(mel: torch.Tensor, frames: int, bins: int) -> torch.Tensor:
    """A mel (B,F,M) averaged over Hann windows in time and frequency, as a regression predicts it."""
    time, frequency = (torch.hann_window(n + 2)[1:-1] for n in (frames, bins))
    kernel = torch.outer(time / time.sum(), frequency / frequency.sum())
    around = F.pad(mel[:, None], (bins // 2, bins // 2, frames // 2, frames // 2), mode="replicate")
    return F.conv2d(around, kernel[None, None])[:, 0]


def test_correction_undoes_what_an_ideal_vocoder_adds_to_a_smooth_mel():
    sound = speak("BIN BLUE AT F TWO NOW", VOICES[0], 140).waveform.astype(np.float32)
    ideal = torch.from_numpy(sound[: len(sound) // 240 * 240])[None]
    predicted = smoothed(MelSpectrogram(Clock(), Mel())(ideal), 15, 5)
    scores = []
    for rounds in (0, 1, ROUNDS):
        waveform = MelCorrection(Clock(), Mel(), rounds)(ideal, predicted)
        scores.append(Estoi()(ideal[0].numpy(), waveform[0].numpy(), 24000)["estoi"])
    assert scores == pytest.approx([1.0, 0.90, 0.71], abs=0.02)
