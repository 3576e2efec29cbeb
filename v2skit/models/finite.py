"""The last step of every synthesis: only finite speech leaves the networks."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from v2skit.errors import UserError


def finite_speech(waveform: Tensor) -> np.ndarray:
    """The output of the networks, waveform (N,), as float32 on the CPU.

    Raises:
        UserError: it has NaN or infinity, which a sound file would hold as noise of full scale.
    """
    speech = waveform.float().cpu().numpy()
    if not np.isfinite(speech).all():
        raise UserError(
            "the networks' output is not finite (NaN or infinity): the weights of the model or of its vocoder are "
            "damaged, or their training diverged; give another checkpoint, or fetch or train it again"
        )
    return speech
