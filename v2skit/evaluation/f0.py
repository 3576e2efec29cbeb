"""Errors of the fundamental frequency (F0) and of voicing."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version

import numpy as np

from v2skit.evaluation.metrics import DROP_REMEDY, MetricError, check_pair
from v2skit.signal.f0 import F0Extractor
from v2skit.system.extras import needs

FRAMES_PER_SECOND = 100
OCTAVE = 1200.0  # cents


class _F0Metric:
    """F0 of reference and hypothesis, every 10 ms."""

    def __init__(self, floor_hz: float = 60.0, ceiling_hz: float = 500.0) -> None:
        self.extract = F0Extractor(floor_hz, ceiling_hz)
        with needs("f0", "F0", DROP_REMEDY):
            import_module("parselmouth")
        praat = f"praat-parselmouth {version('praat-parselmouth')}"
        self.method = f"F0 by Praat's autocorrelation every 10 ms, {floor_hz:g}-{ceiling_hz:g} Hz, {praat}"

    def contours(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
        """F0 (F,) of both, Hz, 0 where unvoiced. Raises MetricError as :func:`check_pair`, or without a whole frame."""
        hop = max(1, rate // FRAMES_PER_SECOND)
        waveforms = check_pair(reference, hypothesis)
        if len(waveforms[0]) < hop:
            raise MetricError(f"shorter than one frame ({hop} samples)")
        ours, theirs = (self.extract(waveform, rate, hop) for waveform in waveforms)
        return ours, theirs


class F0Rmse(_F0Metric):
    """Root mean square of the difference of F0, cents, over the frames that are voiced in both waveforms.

    A frame counts as one octave at most, so that halved and doubled F0 does not decide the mean. A hypothesis with no
    frame that is voiced in both, such as silence, scores one octave.

    Args:
        floor_hz: lowest F0, Hz.
        ceiling_hz: highest F0, Hz.

    Raises:
        UserError: praat-parselmouth is not installed, or the range of F0 is empty.
    """

    higher_is_better = {"f0_rmse": False}

    @property
    def protocol(self) -> str:
        """How the number is computed."""
        return (
            f"root mean square error of F0 in cents, over frames voiced in both, each at most {OCTAVE:g} cents, which "
            f"is also the score where there is no such frame; {self.method}"
        )

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`.

        Raises:
            MetricError: also where the reference has no voiced frame.
        """
        ours, theirs = self.contours(reference, hypothesis, rate)
        if not ours.any():
            raise MetricError("the reference has no voiced frame")
        both = (ours > 0) & (theirs > 0)
        if not both.any():
            return {"f0_rmse": OCTAVE}
        cents = OCTAVE * np.log2(theirs[both] / ours[both])
        return {"f0_rmse": float(np.sqrt(np.square(cents.clip(-OCTAVE, OCTAVE)).mean()))}


class VoicingError(_F0Metric):
    """Share of frames that are voiced in one waveform and unvoiced in the other, 0 to 1 (Nakatani et al. 2008).

    Args:
        floor_hz: lowest F0, Hz.
        ceiling_hz: highest F0, Hz.

    Raises:
        UserError: praat-parselmouth is not installed, or the range of F0 is empty.
    """

    higher_is_better = {"voicing_error": False}

    @property
    def protocol(self) -> str:
        """How the number is computed."""
        return f"share of frames whose voicing differs; {self.method}"

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`."""
        ours, theirs = self.contours(reference, hypothesis, rate)
        return {"voicing_error": float(((ours > 0) != (theirs > 0)).mean())}
