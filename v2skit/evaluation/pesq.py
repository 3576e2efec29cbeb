"""Perceptual evaluation of speech quality (PESQ), computed by the package pesq."""

from __future__ import annotations

from importlib.metadata import version

import numpy as np

from v2skit.evaluation.metrics import DROP_REMEDY, MetricError, check_pair, resample
from v2skit.system.extras import needs


class PesqWideBand:
    """Wide-band PESQ (ITU-T P.862.2): MOS-LQO, about 1 to 4.6, at 16 kHz.

    The algorithm is undefined for a silent hypothesis, which scores 0.999, the lower limit of the mapping to MOS-LQO: a
    system that is silent for its hardest clips must not have a higher mean for that.

    Raises:
        UserError: pesq is not installed.
    """

    higher_is_better = {"pesq_wb": True}
    mode, standard = "wb", "P.862.2, wide band"
    lowest = 0.999  # of 0.999 + 4 / (1 + exp(-a * raw + b)), whose raw score is -0.5 or more by P.862, less in pesq
    rate = 16000

    def __init__(self) -> None:
        with needs("pesq", "PESQ", DROP_REMEDY):
            import pesq

        self._pesq, self._errors = pesq.pesq, (pesq.PesqError, ValueError)
        tool = f"pesq {version('pesq')}, resampled to 16 kHz (polyphase)"
        self.protocol = f"PESQ {self.standard}, MOS-LQO, {tool}; a silent hypothesis scores {self.lowest}"

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`.

        Raises:
            MetricError: also where the hypothesis is not silent, and PESQ detects no speech or the clip is under 0.25 s
                long.
        """
        reference, hypothesis = check_pair(reference, hypothesis)
        (name,) = self.higher_is_better
        if not hypothesis.any():
            return {name: self.lowest}
        reference, hypothesis = resample(reference, rate, self.rate), resample(hypothesis, rate, self.rate)
        try:
            return {name: float(self._pesq(self.rate, reference, hypothesis, self.mode))}
        except self._errors as error:
            reason = error.args[0] if error.args else type(error).__name__
            raise MetricError(f"PESQ: {reason.decode() if isinstance(reason, bytes) else reason}") from error


class PesqNarrowBand(PesqWideBand):
    """Narrow-band PESQ (ITU-T P.862 with the mapping of P.862.1): MOS-LQO, about 1 to 4.5, from audio at 16 kHz."""

    higher_is_better = {"pesq_nb": True}
    mode, standard = "nb", "P.862 + P.862.1, narrow band"
