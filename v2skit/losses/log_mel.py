"""Mean absolute error of the log mel of a waveform."""

from __future__ import annotations

from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.models.output import Output
from v2skit.signal.mel import MelSpectrogram


class LogMel(nn.Module):
    """Mean absolute difference of v2skit's log mels, over the valid frames (as in HiFi-GAN, Kong et al. 2020).

    That of the target is computed from the waveform of the batch, which has no margins, as the output has none.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
    """

    input = "waveform"

    def __init__(self, clock: Clock, mel: Mel) -> None:
        super().__init__()
        self.spectrogram = MelSpectrogram(clock, mel)

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """waveform (B,N) -> ``{"log_mel": scalar}``."""
        target = self.spectrogram(batch.waveform)
        return {"log_mel": (self.spectrogram(output.waveform) - target)[batch.mel_mask()].abs().mean()}
