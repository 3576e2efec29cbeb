"""The metric protocol: a reference and a hypothesis waveform -> named numbers.

Synthesised speech is exactly as long as its video, so that a hypothesis has as many samples as its reference; metrics
refuse any other pair. Scores are comparable only within one ``protocol``, which is why results state it.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from v2skit.errors import UserError

DROP_REMEDY = "drop it from scoring"
"""Second remedy where the package of a metric or speech recogniser is missing."""


class MetricError(UserError):
    """A metric is undefined for one file; scoring counts the file as failed and reports the reason."""


class Metric(Protocol):
    """A metric component. Scoring copies it to other processes: it must be picklable.

    Attributes:
        protocol: how the numbers are computed, with the version of the package that computes them.
        higher_is_better: name of each number that the metric returns -> its direction.

    Three attributes are optional:

    * ``intrusive``, True by default; False: the numbers do not depend on when in the reference something is said, so
      that those of the time-aligned hypothesis are the same.
    * ``other_clips``, 0 by default: how many other clips of the talker the metric needs. It is then called with one
      more argument, ``others=[(N,), ...]``: ground-truth audio of that many clips at most, never of the scored one, see
      :func:`v2skit.evaluation.other_clips.other_clips`.
    * ``needs_video``, False by default; True: the metric is called with one more argument, ``video``: the file with the
      whole face, as the corpus lists it.
    """

    protocol: str
    higher_is_better: dict[str, bool]

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """Score one file.

        Args:
            reference: ground-truth waveform (N,), in [-1, 1].
            hypothesis: synthesised waveform (N,), in [-1, 1].
            rate: sample rate of both, Hz.

        Returns:
            a finite number for each name in ``higher_is_better``.

        Raises:
            MetricError: the metric is undefined for this pair, with the reason.
        """


def check_pair(reference: np.ndarray, hypothesis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reference and hypothesis as float64 (N,).

    Raises:
        MetricError: they are not mono and of equal length, one of them is not finite, or the reference is silent.
    """
    if reference.ndim != 1 or reference.shape != hypothesis.shape:
        raise MetricError(
            f"reference {reference.shape} and hypothesis {hypothesis.shape} must both be mono and equally long; "
            "synthesise the clip again (stage 5)"
        )
    if not (np.isfinite(reference).all() and np.isfinite(hypothesis).all()):
        raise MetricError("samples that are not finite")
    if not reference.any():
        raise MetricError("the reference is silent")
    return reference.astype(np.float64), hypothesis.astype(np.float64)


def resample(waveform: np.ndarray, rate: int, target_rate: int) -> np.ndarray:
    """Polyphase resampling: (N,) at ``rate`` Hz -> (ceil(N * target_rate / rate),) at ``target_rate`` Hz."""
    if rate == target_rate:
        return waveform
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, target_rate)
    return resample_poly(waveform, target_rate // divisor, rate // divisor)
