"""Objective intelligibility: STOI and ESTOI, computed by pystoi."""

from __future__ import annotations

import warnings
from importlib.metadata import version

import numpy as np

from v2skit.evaluation.metrics import DROP_REMEDY, MetricError, check_pair
from v2skit.system.extras import needs

_MIN_SECONDS = 0.4  # one analysis segment: 30 frames of 25.6 ms with 50 % overlap
_TOO_LITTLE_SPEECH = f"less than {_MIN_SECONDS} s of speech in the reference"


class Stoi:
    """Short-time objective intelligibility (Taal et al. 2011), about 0 to 1.

    pystoi resamples both waveforms to 10 kHz and leaves out the silent frames of the reference.

    Raises:
        UserError: pystoi is not installed.
    """

    higher_is_better = {"stoi": True}
    extended = False

    def __init__(self) -> None:
        with needs("evaluate", "STOI", DROP_REMEDY):
            from pystoi import stoi

        self._stoi = stoi
        kind = "ESTOI (Jensen & Taal 2016)" if self.extended else "STOI (Taal et al. 2011)"
        self.protocol = f"{kind}, pystoi {version('pystoi')}, resampled to 10 kHz; a silent hypothesis scores 0"

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`.

        Raises:
            MetricError: also where less than 0.4 s of the reference is speech.
        """
        reference, hypothesis = check_pair(reference, hypothesis)
        (name,) = self.higher_is_better
        if len(reference) < _MIN_SECONDS * rate:
            raise MetricError(_TOO_LITTLE_SPEECH)
        if not hypothesis.any():
            return {name: 0.0}
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Not enough STFT frames", RuntimeWarning)
            try:
                return {name: float(self._stoi(reference, hypothesis, rate, extended=self.extended))}
            except RuntimeWarning as warning:
                raise MetricError(_TOO_LITTLE_SPEECH) from warning


class Estoi(Stoi):
    """Extended short-time objective intelligibility (Jensen & Taal 2016), about 0 to 1, at 10 kHz as STOI."""

    higher_is_better = {"estoi": True}
    extended = True
