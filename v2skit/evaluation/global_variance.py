"""Global variance of the mel: how much less, or more, spectra change over time than those of the reference."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from v2skit.evaluation.metrics import DROP_REMEDY, MetricError
from v2skit.evaluation.paired_mels import MEL_PROTOCOL, PairedMels, band_protocol
from v2skit.system.extras import needs

_MIN_VARIANCE = 1e-4


def variance_ratios(log_mels: np.ndarray, speech: np.ndarray) -> np.ndarray:
    """Variance of each bin over the frames of speech, the hypothesis's over the reference's (Toda and Tokuda 2007).

    Args:
        log_mels: of reference and hypothesis, (2,F,M).
        speech: frames that count, (F,), at least one.

    Returns:
        (M,); 1 is as sharp, below 1 is blurred. Variances below 1e-4 count as that.
    """
    reference, hypothesis = log_mels[:, speech].var(axis=1).clip(min=_MIN_VARIANCE)
    return hypothesis / reference


class GlobalVariance:
    """Difference of the global variance of the log mel from the reference's: mean over mel bins of
    ``|10 log10(variance ratio)|``, dB.

    0 is as sharp as the reference; blurred mels, as regression predicts them, have less variance, noisy ones more. A
    silent hypothesis has none, and scores about 40 dB.

    Args:
        range_db: dynamic range of the reference that counts as speech, dB.
        max_hz: as of :class:`v2skit.evaluation.mcd.Mcd`.

    Raises:
        UserError: scipy is not installed, or an argument is out of range.
    """

    higher_is_better = {"global_variance": False}

    def __init__(self, range_db: float = 40.0, max_hz: float | None = None) -> None:
        with needs("evaluate", "the global variance", DROP_REMEDY):
            import_module("scipy")

        self.mels = PairedMels(max_hz, range_db)
        self.protocol = (
            f"global variance: mean over mel bins of |10 log10| of the ratio of variances over time, dB; "
            f"{MEL_PROTOCOL}, {band_protocol(max_hz)}, reference frames over {range_db:g} dB below its loudest left out"
        )

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`.

        Raises:
            MetricError: also where fewer than two frames of the reference are speech.
        """
        log_mels, speech = self.mels(reference, hypothesis, rate)
        if speech.sum() < 2:
            raise MetricError("fewer than two frames of speech in the reference")
        return {"global_variance": float(np.abs(10 * np.log10(variance_ratios(log_mels, speech))).mean())}
