"""Mean and deviation of each bin of the log mel over training clips."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from v2skit.config.schema import Config
from v2skit.data.dataset import SpeechDataset
from v2skit.media.audio import read_audio
from v2skit.models.layers.mel_standard import MelStandard
from v2skit.signal.mel import MelSpectrogram

CLIPS = 500
"""Clips that the statistics are taken from."""
LEAST_SHARE = 0.1
"""Of the average deviation, that a bin has at least: else bins above the audio's bandwidth would outweigh speech."""


def mel_statistics(clips: SpeechDataset, config: Config) -> tuple[Tensor, Tensor]:
    """Mean and deviation over random whole training clips, (M,) and (M,)."""
    spectrogram = MelSpectrogram(config.clock, config.mel)
    count, moments = 0, torch.zeros(2, config.mel.n_mels, dtype=torch.float64)
    for number in np.random.default_rng(config.seed).permutation(len(clips))[:CLIPS]:
        utterance = clips.utterances[int(number)]
        assert utterance.audio is not None, "the dataset refuses utterances without audio"
        samples = utterance.frames * config.clock.samples_per_frame
        waveform = torch.from_numpy(read_audio(utterance.audio, config.clock.sample_rate, 0, samples))
        mel = spectrogram(waveform[None])[0].double()  # (F, M)
        count += len(mel)
        moments += torch.stack([mel.sum(0), mel.square().sum(0)])
    mean, square = moments / count
    std = (square - mean.square()).clamp(min=0).sqrt()
    return mean.float(), std.clamp(min=max(LEAST_SHARE * std.mean(), 1e-3)).float()


def fit_standards(losses: nn.Module, clips: SpeechDataset, config: Config) -> None:
    """Set all layers :class:`~v2skit.models.layers.mel_standard.MelStandard` of losses to the training clips."""
    layers = [module for module in losses.modules() if isinstance(module, MelStandard)]
    if layers:
        mean, std = mel_statistics(clips, config)
        for layer in layers:
            layer.mean.copy_(mean)
            layer.std.copy_(std)
