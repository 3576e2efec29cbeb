"""A metric."""

import numpy as np

from v2skit.evaluation.metrics import check_pair


class MyComponent:
    """Scale-invariant signal-to-distortion ratio, dB (Le Roux et al. 2019).

    Args:
        limit_db: largest and, negated, smallest value.
    """

    higher_is_better = {"my_component": True}

    def __init__(self, limit_db: float = 100.0) -> None:
        self.limit_db = limit_db
        self.protocol = f"SI-SDR v1, dB, at most {limit_db:g}"  # scores are compared only within one protocol

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """Waveforms (N,), rate in Hz -> ``{"my_component": dB}``. Raises MetricError where they can't be compared."""
        reference, hypothesis = check_pair(reference, hypothesis)
        signal = reference * (reference @ hypothesis) / (reference @ reference)
        noise = hypothesis - signal
        ratio = (signal @ signal) / max(noise @ noise, 1e-20)  # 0 for silence, which has the lowest score
        return {"my_component": float(np.clip(10 * np.log10(max(ratio, 1e-20)), -self.limit_db, self.limit_db))}
