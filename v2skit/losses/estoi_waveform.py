"""Extended short-time objective intelligibility (ESTOI) of a waveform, as a loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.estoi import EPS, RANGE_DB, band_edges, mean_estoi
from v2skit.losses.power import RANGE_DB as LOWEST_DB
from v2skit.losses.power import below, power_spectra
from v2skit.models.output import Output
from v2skit.signal.stft import Stft

WINDOW_SECONDS, HOP_SECONDS, SEGMENT = 0.0256, 0.0128, 30
HIGHEST_HZ = 5000.0
"""ESTOI is computed at 10 kHz; only this much of a frame's power decides whether the frame counts."""


class EstoiWaveform(nn.Module):
    """1 - ESTOI of waveforms (Jensen and Taal 2016), with its frames, bands and silent frames, at any sample rate.

    For vocoders and decoders of the waveform family, beside a loss of magnitudes: the level of a segment and all above
    4.3 kHz are left open. A vocoder that is tuned on predicted mels with it makes the modulations of speech stronger,
    which a regressed mel has too weak. For decoders of the mel family: :class:`v2skit.losses.estoi.Estoi`.

    Of a model that is trained with it, ESTOI is no independent measure: the word error rate is.

    Args:
        clock: given by the toolkit.

    Raises:
        UserError: the sample rate is below 10 kHz.
    """

    input = "waveform"
    to_bands: Tensor

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        if clock.sample_rate < 2 * HIGHEST_HZ:
            raise UserError(
                f"loss 'estoi_waveform' needs a sample rate of 10000 Hz or more, this is {clock.sample_rate}; leave it "
                "out, or raise clock.sample_rate"
            )
        window, hop = round(WINDOW_SECONDS * clock.sample_rate), round(HOP_SECONDS * clock.sample_rate)
        self.stft = Stft(2 * window + hop % 2, hop, window)
        frequencies = torch.arange(self.stft.n_fft // 2 + 1) * clock.sample_rate / self.stft.n_fft
        edges = band_edges()
        inside = (frequencies[:, None] >= edges[:-1]) & (frequencies[:, None] < edges[1:])
        self.counted = int((frequencies < HIGHEST_HZ).sum())
        self.register_buffer("to_bands", inside[: self.counted].float(), persistent=False)  # (K, 15)

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """waveform (B,N) -> ``{"estoi_waveform": scalar}``; clips shorter than a segment do not count."""
        with torch.autocast(batch.waveform.device.type, enabled=False):
            predicted, target, mask = power_spectra(self.stft, output, batch)
            predicted, target = predicted[..., : self.counted], target[..., : self.counted]
            power = target.sum(-1).masked_fill(~mask, 0)
            active = power > power.amax(1, keepdim=True) * 10 ** (-RANGE_DB / 10)
            bands = [(x @ self.to_bands + EPS**2).sqrt() for x in (predicted, target)]
            return {"estoi_waveform": 1 - mean_estoi(bands[0], bands[1], active, SEGMENT, below(LOWEST_DB))}
