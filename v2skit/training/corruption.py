"""Corruption of the audio that A2A pre-training has as input: time masks, band-stop filters and noise."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from v2skit.config.corruption import Corruption
from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.layers.feature_masks import random_spans
from v2skit.models.model import Model, Vocoder
from v2skit.signal.mel import MelSpectrogram


class InputCorruption(nn.Module):
    """A batch -> the same one with corrupted audio, for the model's input only.

    The waveform is corrupted and its mel computed again, so that both kinds of audio frontends have the same input.
    The margins of a segment stay as they are.
    Random numbers are those of torch's global generators, which the trainer seeds for each batch.

    Args:
        settings: of the corruption.
        clock: states video frames.
        mel: its bins are those of removed bands.
    """

    def __init__(self, settings: Corruption, clock: Clock, mel: Mel) -> None:
        super().__init__()
        self.settings, self.samples_per_frame = settings, clock.samples_per_frame
        self.mask_frames = max(1, round(settings.time_seconds * clock.fps))
        self.spectrogram = MelSpectrogram(clock, mel)

    @torch.no_grad()
    def forward(self, batch: Batch) -> Batch:
        """The batch with another waveform (B,N) and mel (B,F,M)."""
        settings, clean = self.settings, batch.waveform
        waveform = clean
        if settings.time_share:
            silent = random_spans(batch.mask, settings.time_share, self.mask_frames)
            waveform = waveform.masked_fill(silent.repeat_interleave(self.samples_per_frame, dim=1), 0)
        if settings.band_share:
            waveform = self._without_bands(waveform)
        if settings.snr_db:
            waveform = waveform + self._noise(clean, batch.sample_mask())
        waveform = waveform * batch.sample_mask()
        return replace(batch, waveform=waveform).with_mel(self.spectrogram)

    def _without_bands(self, waveform: Tensor) -> Tensor:
        """Band-stop filters in the STFT domain, others for each clip: (B,N) -> (B,N)."""
        stft, filters = self.spectrogram.stft, self.spectrogram.filters  # (K, M)
        bins = filters.new_ones(len(waveform), filters.shape[1], dtype=torch.bool)
        removed = random_spans(bins, self.settings.band_share, self.settings.band_bins)  # (B, M)
        # A frequency belongs to the bin whose filter is largest there; one outside all filters is kept.
        removed = removed[:, filters.argmax(1)] & (filters.amax(1) > 0)  # (B, K)
        return stft.inverse(stft(waveform).masked_fill(removed[:, :, None], 0))

    def _noise(self, waveform: Tensor, mask: Tensor) -> Tensor:
        """White noise at a random signal-to-noise ratio for each clip, whose power is that of its valid samples."""
        low, high = self.settings.snr_db or (0.0, 0.0)
        snr = low + (high - low) * torch.rand(len(waveform), 1, device=waveform.device)
        power = (waveform.square() * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
        return torch.randn_like(waveform) * (power * 10 ** (-snr / 10)).sqrt()


def corruption_of(settings: Corruption | None, clock: Clock, mel: Mel, model: Model | Vocoder) -> nn.Module | None:
    """What corrupts a model's input; None where nothing does.

    Raises:
        UserError: the model has another input than mel or waveform.
    """
    if settings is None or not settings.on_signal:
        return None
    others = sorted(set(model.inputs) - {"mel", "waveform"})
    if others:
        raise UserError(
            f"pretrain.corruption: masks and noise are for frontends with input mel or waveform, not {others[0]}; "
            "choose one, or give bottleneck_dim only",
            key="pretrain.corruption",
        )
    return InputCorruption(settings, clock, mel)
