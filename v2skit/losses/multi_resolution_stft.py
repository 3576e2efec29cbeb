"""Multi-resolution STFT loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from v2skit.config.limits import Width
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.power import RANGE_DB, check_dynamic_range, log_magnitude_difference, valid_power
from v2skit.models.output import Output
from v2skit.signal.stft import Stft

FLOOR = 1e-7
"""Added to the squared magnitudes: the derivative of their root is then finite at silence."""


class MultiResolutionStft(nn.Module):
    """Spectral convergence and mean absolute log-magnitude difference (Parallel WaveGAN, Yamamoto et al. 2020),
    averaged over resolutions. Each has a Hann window of n_fft samples and a hop of a quarter of it.

    Args:
        n_ffts: FFT lengths, samples.
        range_db: dynamic range of a clip in the log magnitudes, as in :class:`v2skit.losses.power.Power`.

    Raises:
        UserError: there is no length, the hop does not fit one of them (multiples of 8 always do), or the range is not
            positive.
    """

    input = "waveform"

    def __init__(self, n_ffts: tuple[Width, ...] = (512, 1024, 2048), range_db: float | None = RANGE_DB) -> None:
        super().__init__()
        if not n_ffts or min(n_ffts) < 4:
            raise UserError(f"n_ffts must hold at least one FFT length of 4 or more samples, not {n_ffts}")
        check_dynamic_range(range_db)
        self.range_db = range_db
        self.stfts = nn.ModuleList(Stft(n, n // 4) for n in n_ffts)

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """waveform (B,N) -> ``{"spectral_convergence": scalar, "log_magnitude": scalar}``."""
        convergence, log_magnitude = [], []
        stfts: list[Any] = list(self.stfts)
        for stft in stfts:
            predicted, target, peak = valid_power(stft, output, batch)  # (V, K), (V, K), (V, 1)
            log_magnitude.append(log_magnitude_difference(predicted, target, peak, FLOOR, self.range_db).mean())
            predicted, target = (predicted + FLOOR).sqrt(), (target + FLOOR).sqrt()
            convergence.append((predicted - target).norm() / target.norm())
        return {
            "spectral_convergence": torch.stack(convergence).mean(),
            "log_magnitude": torch.stack(log_magnitude).mean(),
        }
