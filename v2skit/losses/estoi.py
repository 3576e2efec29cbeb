"""Extended short-time objective intelligibility (ESTOI) of a mel, as a loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.output import Output
from v2skit.signal.filterbank import mel_filters
from v2skit.signal.mel import MelSpectrogram

BANDS, LOWEST_HZ = 15, 150.0
"""One-third octave bands, and the centre of the first."""
SEGMENT_SECONDS = 0.384
RANGE_DB = 40.0
"""Frames further below the loudest frame of the target are left out."""
EPS = 1e-6


class Estoi(nn.Module):
    """1 - ESTOI, from mels (Jensen and Taal 2016), which rewards what the L1 of a log mel does not: modulations.

    The L1 of the log mel is minimised by the median, whose modulations are too weak where lips leave the sound open.
    ESTOI correlates the amplitudes in one-third octave bands, over segments of 384 ms, each normalised over time and
    then over bands. Here the bands' amplitudes are those of the mel bins in them, at its frame rate and window (ESTOI:
    12.8 and 25.6 ms); segments begin at every frame. Counted are the frames whose power in these bands, from 134 Hz, is
    within 40 dB of the loudest frame's; pystoi compares the power of the whole signal, so that hum below 134 Hz makes
    pauses count. On recordings with hum its ESTOI is therefore lower than 1 minus this loss.

    The loss leaves the level of a segment open, and what is above 4.3 kHz, so that it needs L1 beside it.
    For waveforms: :class:`v2skit.losses.estoi_waveform.EstoiWaveform`.

    Of a model that is trained with it, ESTOI is no independent measure: PESQ and the word error rate are.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.

    Raises:
        UserError: the mel ends below the bands.
    """

    input = "mel"
    to_bands: Tensor

    def __init__(self, clock: Clock, mel: Mel) -> None:
        super().__init__()
        self.spectrogram = MelSpectrogram(clock, mel)
        self.segment = round(SEGMENT_SECONDS * clock.sample_rate / mel.hop)
        edges = band_edges()
        if mel.f_max < edges[-1] or mel.f_min > edges[1]:
            raise UserError(
                f"loss 'estoi' needs a mel from {edges[0]:.0f} to {edges[-1]:.0f} Hz, this one has {mel.f_min:g} to "
                f"{mel.f_max:g} Hz; leave the loss out, or change mel.f_min and mel.f_max"
            )
        filters = mel_filters(mel.n_fft, clock.sample_rate, mel.n_mels, mel.f_min, mel.f_max, mel.scale).double()
        frequencies = torch.arange(len(filters)) * clock.sample_rate / mel.n_fft
        inside = (frequencies[:, None] >= edges[:-1]) & (frequencies[:, None] < edges[1:])  # (K, 15)
        shares = filters / filters.sum(1, keepdim=True).clamp(min=1e-12)  # each STFT bin's power, from its mel bins
        gains = filters.sum(0).clamp(min=1e-12)
        to_bands = (shares / gains.square()).T @ inside.double()
        self.register_buffer("to_bands", to_bands.float(), persistent=False)  # (M, 15)

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """mel (B,F,M) -> ``{"estoi": scalar}``; clips shorter than a segment do not count.

        A batch of these alone has the value 0, which is averaged into that of validation.
        """
        assert output.mel is not None and batch.mel is not None, "input = 'mel'"
        with torch.autocast(batch.mel.device.type, enabled=False):
            predicted, target = self._bands(output.mel.float()), self._bands(batch.mel)  # (B, F, 15)
            power = target.square().sum(-1).masked_fill(~batch.mel_mask(), 0)
            active = power > power.amax(1, keepdim=True) * 10 ** (-RANGE_DB / 10)
            return {"estoi": 1 - mean_estoi(predicted, target, active, self.segment)}

    def _bands(self, mel: Tensor) -> Tensor:
        """Log mel (B,F,M) -> amplitudes in one-third octave bands (B,F,15)."""
        return (self.spectrogram.magnitude(mel).square() @ self.to_bands + EPS**2).sqrt()


def band_edges() -> Tensor:
    """Edges of the one-third octave bands, Hz, float64 (16)."""
    return LOWEST_HZ * 2 ** ((2 * torch.arange(BANDS + 1, dtype=torch.float64) - 1) / 6)


def mean_estoi(predicted: Tensor, target: Tensor, active: Tensor, segment: int, least: float = 0.0) -> Tensor:
    """Mean ESTOI of the clips of a batch (Jensen and Taal 2016).

    Args:
        predicted: amplitudes in one-third octave bands (B,F,15).
        target: as ``predicted``.
        active: bool (B,F), the frames that count.
        segment: N, frames.
        least: level of a predicted segment, relative to the target's, below which its ESTOI falls with the level: else
            the gradient of an almost silent one has no limit.

    Returns:
        a scalar; clips with fewer than N active frames do not count, and a batch of these alone has 1, the best.
    """
    found = []
    for mine, truth, frames in zip(predicted, target, active, strict=True):
        if int(frames.sum()) >= segment:
            # (segments, 15, N), unit norm over time, then over bands
            parts = [x[frames].unfold(0, segment, 1) for x in (mine, truth)]
            units = [_unit(_unit(x, 2), 1) for x in parts]
            correlations = (units[0] * units[1]).sum(1)  # (segments, N)
            if least:
                levels = [_deviation(x) for x in parts]
                correlations = correlations * (levels[0] / (least * levels[1])).clamp(max=1)[:, None]
            found.append(correlations.mean())
    return torch.stack(found).mean() if found else 1 + 0.0 * predicted.sum()


def _deviation(x: Tensor) -> Tensor:
    """(segments,15,N) -> (segments,), norm of the changes over time."""
    return (x - x.mean(2, keepdim=True)).square().sum((1, 2)).clamp(min=1e-24).sqrt()


def _unit(x: Tensor, dim: int) -> Tensor:
    """Without its mean, and of norm 1, over a dimension."""
    x = x - x.mean(dim, keepdim=True)
    return x / (x.square().sum(dim, keepdim=True) + EPS**2).sqrt()
