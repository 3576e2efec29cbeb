"""Mean absolute error of the log mel of a waveform."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.losses.power import below, check_dynamic_range
from v2skit.models.output import Output
from v2skit.signal.mel import MelSpectrogram


class LogMel(nn.Module):
    """Mean absolute difference of v2skit's log mels, over the valid frames (as in HiFi-GAN, Kong et al. 2020).

    That of the target is computed from the waveform of the batch, which has no margins, as the output has none.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
        range_db: dynamic range of a clip, as in :class:`v2skit.losses.mfcc.Mfcc`. null, the default, is HiFi-GAN's
            loss: a vocoder trained with it also outputs the background noise of its input mel.

    Raises:
        UserError: the range is not positive.
    """

    input = "waveform"

    def __init__(self, clock: Clock, mel: Mel, range_db: float | None = None) -> None:
        super().__init__()
        check_dynamic_range(range_db)
        self.range_db = range_db
        self.spectrogram = MelSpectrogram(clock, mel)

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """waveform (B,N) -> ``{"log_mel": scalar}``."""
        predicted, target, mask = log_mels(self.spectrogram, output, batch, self.range_db)
        return {"log_mel": (predicted - target)[mask].abs().mean()}


def log_mels(
    spectrogram: MelSpectrogram, output: Output, batch: Batch, range_db: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Log mels (B,F,M) of the output and of the target, and which of the frames are valid, bool (B,F).

    Args:
        spectrogram: computes them.
        output: has a waveform.
        batch: has the target.
        range_db: added to the magnitudes is the one that lies so far below the largest of the clip's target; None:
            nothing.
    """
    mask, predicted, target = batch.mel_mask(), spectrogram(output.waveform), spectrogram(batch.waveform)
    if range_db is None:
        return predicted, target, mask
    to_magnitude, to_log = spectrogram.magnitude, spectrogram.log
    added = below(range_db) * to_magnitude(target.amax(2).where(mask, -torch.inf).amax(1))[:, None, None]
    return to_log(to_magnitude(predicted) + added), to_log(to_magnitude(target) + added), mask
