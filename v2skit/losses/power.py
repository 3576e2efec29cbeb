"""The power loss: mean absolute error of the log power spectrum."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.limits import Width
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.output import Output
from v2skit.signal.stft import Stft


class Power(nn.Module):
    """Mean absolute difference of the log power spectra (V2S-WGAN, Mira et al. 2022; weight 50 there).

    Args:
        n_fft: FFT length and Hann window, samples.
        hop: from frame to frame, samples.
        floor: added to the power before the natural logarithm, so that silence has a finite value and gradient.

    Raises:
        UserError: the floor is not positive, or hop and n_fft do not go together.
    """

    input = "waveform"

    def __init__(self, n_fft: Width = 512, hop: Width = 128, floor: float = 1e-7) -> None:
        super().__init__()
        if floor <= 0:
            raise UserError(f"floor {floor} must be positive")
        self.stft, self.floor = Stft(n_fft, hop), floor

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """waveform (B,N) -> ``{"power": scalar}``."""
        predicted, target = valid_power(self.stft, output, batch)
        return {"power": ((predicted + self.floor).log() - (target + self.floor).log()).abs().mean()}


def valid_power(stft: Stft, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
    """Squared magnitudes (V,K) of the V valid frames of all clips: of the output and of the target."""
    # Whole hops, so that a clip's last frame is there whether or not padding follows it.
    assert output.waveform is not None, "input = 'waveform'"
    spare = -batch.waveform.shape[1] % stft.hop
    mask = stft.frame_mask(F.pad(batch.sample_mask(), (0, spare)))
    predicted, target = (stft.power(F.pad(w, (0, spare))) for w in (output.waveform, batch.waveform))
    return predicted[mask], target[mask]
