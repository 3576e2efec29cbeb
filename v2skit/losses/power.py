"""The power loss: mean absolute error of the log magnitudes of one STFT."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.limits import Width
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.output import Output
from v2skit.signal.stft import Stft

RANGE_DB = 60.0
"""Default dynamic range of a clip in losses of log spectra, dB."""


class Power(nn.Module):
    """Mean absolute difference of the log magnitudes (V2S-WGAN, Mira et al. 2022; weight 50 there).

    Args:
        n_fft: FFT length and Hann window, samples.
        hop: from frame to frame, samples.
        floor: added to the power before the logarithm, so that silence has a finite value and gradient.
        range_db: where this is more, added instead is the power that lies so far below the strongest bin of the clip's
            target: else most of the loss is background noise. null: never.

    Raises:
        UserError: floor or range is not positive, or hop and n_fft do not go together.
    """

    input = "waveform"

    def __init__(
        self, n_fft: Width = 512, hop: Width = 128, floor: float = 1e-7, range_db: float | None = RANGE_DB
    ) -> None:
        super().__init__()
        if floor <= 0:
            raise UserError(f"floor {floor} must be positive")
        check_dynamic_range(range_db)
        self.stft, self.floor, self.range_db = Stft(n_fft, hop), floor, range_db

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """waveform (B,N) -> ``{"power": scalar}``."""
        spectra = valid_power(self.stft, output, batch)
        return {"power": log_magnitude_difference(*spectra, self.floor, self.range_db).mean()}


def power_spectra(stft: Stft, output: Output, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Squared magnitudes (B,F,K) of the output and of the target, and which of the frames are valid, bool (B,F)."""
    # Whole hops, so that a clip's last frame is there whether or not padding follows it.
    assert output.waveform is not None, "input = 'waveform'"
    spare = -batch.waveform.shape[1] % stft.hop
    mask = stft.frame_mask(F.pad(batch.sample_mask(), (0, spare)))
    predicted, target = (stft.power(F.pad(w, (0, spare))) for w in (output.waveform, batch.waveform))
    return predicted, target, mask


def valid_power(stft: Stft, output: Output, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Squared magnitudes (V,K) of the V valid frames of all clips, of the output and of the target; and the largest one
    of each frame's clip in the target, (V,1)."""
    predicted, target, mask = power_spectra(stft, output, batch)
    peak = target.amax(2).where(mask, 0).amax(1, keepdim=True)  # (B,F,K) -> (B,1)
    return predicted[mask], target[mask], peak.expand_as(mask)[mask][:, None]


def log_magnitude_difference(
    predicted: Tensor, target: Tensor, peak: Tensor, floor: float, range_db: float | None
) -> Tensor:
    """Absolute difference of log magnitudes in nepers, (V,K).

    Args:
        predicted: power (V,K).
        target: power (V,K).
        peak: largest power of each frame's clip (V,1).
        floor: least power that is added to both.
        range_db: that power relative to the peak, dB below it; None: the floor alone.
    """
    added = floor if range_db is None else (peak * below(range_db) ** 2).clamp(min=floor)
    return 0.5 * ((predicted + added).log() - (target + added).log()).abs()


def check_dynamic_range(range_db: float | None) -> None:
    """Raises UserError where the dynamic range of a clip, dB, is not positive."""
    if range_db is not None and not range_db > 0:
        raise UserError(f"range_db {range_db} must be positive, or null for no floor relative to the clip")


def below(range_db: float) -> float:
    """The magnitude ``range_db`` dB below 1."""
    return 10 ** (-range_db / 20)
