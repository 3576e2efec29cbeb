"""Log-spectral distance."""

from __future__ import annotations

from importlib import import_module

import numpy as np

from v2skit.errors import UserError
from v2skit.evaluation.metrics import DROP_REMEDY, MetricError, check_pair, resample
from v2skit.evaluation.paired_mels import band_protocol, bandwidth
from v2skit.system.extras import needs

RATE, WINDOW, HOP = 24_000, 1024, 240


class Lsd:
    """Log-spectral distance (Gray and Markel 1976), dB: mean over frames of the root mean square, over the bins of the
    spectrum in the band, of the difference of the power spectra in dB.

    Power more than ``range_db`` below the largest power of the reference counts as just that far below, in both. A
    silent hypothesis scores ``range_db``.

    Args:
        range_db: dynamic range, dB.
        max_hz: end of the band, Hz; null: where that of the reference ends, see
            :func:`v2skit.evaluation.paired_mels.bandwidth`.

    Raises:
        UserError: scipy is not installed, or an argument is out of range.
    """

    higher_is_better = {"lsd": False}

    def __init__(self, range_db: float = 80.0, max_hz: float | None = None) -> None:
        with needs("evaluate", "LSD", DROP_REMEDY):
            import_module("scipy")

        self.range_db, self.max_hz = range_db, max_hz
        if range_db <= 0 or not (max_hz is None or max_hz >= 100):
            raise UserError(f"range_db {range_db:g} must be more than 0, and max_hz {max_hz} 100 or more")
        self.protocol = (
            f"log-spectral distance, dB; {RATE / 1000:g} kHz, Hann window of {WINDOW} samples, hop {HOP}, "
            f"{band_protocol(max_hz)}, power limited to {range_db:g} dB below the largest of the reference; a silent "
            f"hypothesis scores {range_db:g}"
        )

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`.

        Raises:
            MetricError: also where the waveforms are shorter than one window.
        """
        waveforms = np.stack([resample(w, rate, RATE) for w in check_pair(reference, hypothesis)])
        if waveforms.shape[1] < WINDOW:
            raise MetricError(f"shorter than one window ({WINDOW} samples at {RATE} Hz)")
        if not hypothesis.any():
            return {"lsd": self.range_db}
        frames = np.lib.stride_tricks.sliding_window_view(waveforms, WINDOW, axis=1)[:, ::HOP]  # (2, F, W)
        spectra = np.fft.rfft(frames * np.hanning(WINDOW + 1)[:-1])
        max_hz = bandwidth(waveforms[0], RATE) if self.max_hz is None else self.max_hz
        power = np.square(np.abs(spectra[..., : int(max_hz * WINDOW / RATE) + 1]))  # (2, F, K)
        floor = power[0].max() * 10 ** (-self.range_db / 10)
        reference_db, hypothesis_db = 10 * np.log10(power.clip(min=floor))
        return {"lsd": float(np.sqrt(np.square(reference_db - hypothesis_db).mean(-1)).mean())}
