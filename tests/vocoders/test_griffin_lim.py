"""Griffin-Lim gives back what the mel says, exactly as long."""

import torch

from v2skit.clock import Clock, Mel
from v2skit.data.audio import MelSpectrogram
from v2skit.vocoders.griffin_lim import GriffinLim


def chirp(frames: int) -> torch.Tensor:
    time = torch.arange(frames * 960) / 24000
    return 0.3 * torch.sin(2 * torch.pi * (200 * time + 300 * time**2))[None]


def test_mel_of_the_result_is_the_mel():
    spectrogram, sound = MelSpectrogram(Clock(), Mel()), chirp(20)
    mel = spectrogram(sound)
    again = GriffinLim(Clock(), Mel())(mel)
    assert again.shape == sound.shape
    loud = mel > 0
    assert (spectrogram(again) - mel)[loud].abs().mean() < 0.12
    silence = GriffinLim(Clock(), Mel())(torch.full((1, 8, 80), -9.2))
    assert silence.shape == (1, 8 * 240) and silence.abs().max() < 1e-2


def test_it_is_deterministic_and_more_iterations_are_better():
    mel = MelSpectrogram(Clock(), Mel())(chirp(20))
    assert torch.equal(GriffinLim(Clock(), Mel(), 8)(mel), GriffinLim(Clock(), Mel(), 8)(mel))
    spectrogram = MelSpectrogram(Clock(), Mel())
    errors = [(spectrogram(GriffinLim(Clock(), Mel(), n)(mel)) - mel).abs().mean() for n in (0, 32)]
    assert errors[1] < 0.8 * errors[0]
