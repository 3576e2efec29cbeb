"""Only finite weights enter the networks, and only finite speech leaves them."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

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


def not_finite(module: nn.Module) -> list[str]:
    """The names of parameters that are not finite, and of buffers with NaN; -inf may mask attention."""
    names = [name for name, value in module.named_parameters() if not value.isfinite().all()]
    return names + [name for name, value in module.named_buffers() if value.isnan().any()]
