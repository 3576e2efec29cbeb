"""The waveform of Griffin-Lim has the input mel and exactly its length."""

import torch

from v2skit.config.features import Clock, Mel
from v2skit.models.vocoders.griffin_lim import GriffinLim
from v2skit.signal.mel import MelSpectrogram
from v2skit.synthesis.overlap import WindowedFunction


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


def speech_like(frames: int) -> torch.Tensor:
    """Syllables of a gliding voice, hisses and pauses, (1, frames * 960)."""
    random = torch.Generator().manual_seed(0)
    time = torch.arange(frames * 960) / 24000
    pitch = 2 * torch.pi * (120 * time + 4 * torch.sin(2.3 * time))
    voice = sum(torch.sin(number * pitch + 3 * torch.sin(5 * time)) / number for number in range(1, 30))
    hiss = torch.randn(len(time), generator=random)
    syllables = torch.sin(2 * torch.pi * 1.7 * time).clamp(min=0) * (torch.sin(1.1 * time) > -0.7)
    hisses = torch.sin(2 * torch.pi * 1.7 * time + 3).clamp(min=0) ** 4
    return (0.1 * syllables * voice + 0.05 * hisses * hiss)[None]


def test_a_long_clip_in_overlapping_parts_is_as_the_whole():
    """As Speaking makes them: with what counts around them, from multiples of the period on; here a second each."""
    vocoder, mel = GriffinLim(Clock(), Mel()), MelSpectrogram(Clock(), Mel())(speech_like(125))[0]  # 5 s, (500, 80)
    whole = vocoder(mel[None])[0]
    reach = vocoder.left_context_frames, vocoder.look_ahead_frames
    windows = WindowedFunction(lambda x: vocoder(x[None])[0], Mel().hop, *reach, 100, 0, vocoder.period_frames)
    parts = [windows.push(part) for part in mel.split(37)] + [windows.finish()]
    parts = [part for part in parts if part is not None]
    assert len(parts) >= 4
    pieces = torch.cat(parts)
    assert pieces.shape == whole.shape
    signal, error = whole.square().sum(), (pieces - whole).square().sum()
    assert 10 * torch.log10(signal / error) > 60
