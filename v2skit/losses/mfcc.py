"""Mean absolute error of mel-frequency cepstral coefficients."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.config.limits import Width
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.log_mel import log_mels
from v2skit.losses.power import RANGE_DB, check_dynamic_range
from v2skit.models.output import Output
from v2skit.signal.filterbank import dct
from v2skit.signal.mel import MelSpectrogram


class Mfcc(nn.Module):
    """Mean absolute difference of the MFCCs (V2S-WGAN, Mira et al. 2022; weight 0.4 there), over the valid frames.

    The MFCCs are the first coefficients of the orthonormal DCT-II of v2skit's log mel. Those of the target are computed
    from the waveform of the batch, which has no margins, as the output has none.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
        n_mfcc: coefficients, with the zeroth, the frame's level.
        range_db: added to the mel magnitudes is the one that lies so far below the largest of the clip's target, so
            that background noise has little weight. null: nothing.

    Raises:
        UserError: there are fewer mel bins than coefficients, or the range is not positive.
    """

    input = "waveform"
    dct: Tensor

    def __init__(self, clock: Clock, mel: Mel, n_mfcc: Width = 25, range_db: float | None = RANGE_DB) -> None:
        super().__init__()
        if not 0 < n_mfcc <= mel.n_mels:
            raise UserError(f"n_mfcc {n_mfcc} must lie in 1..mel.n_mels ({mel.n_mels})")
        check_dynamic_range(range_db)
        self.range_db = range_db
        self.spectrogram = MelSpectrogram(clock, mel)
        self.register_buffer("dct", dct(mel.n_mels, n_mfcc), persistent=False)  # (M, n_mfcc)

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """waveform (B,N) -> ``{"mfcc": scalar}``."""
        predicted, target, mask = log_mels(self.spectrogram, output, batch, self.range_db)
        difference = (predicted - target)[mask]  # (V, M), V valid frames
        with torch.autocast(difference.device.type, enabled=False):
            return {"mfcc": (difference @ self.dct).abs().mean()}
