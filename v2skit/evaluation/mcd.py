"""Mel-cepstral distortion, frame by frame and with dynamic time warping."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np

from v2skit.config.features import Mel
from v2skit.errors import UserError
from v2skit.evaluation.metrics import DROP_REMEDY
from v2skit.evaluation.paired_mels import MEL_PROTOCOL, PairedMels, band_protocol
from v2skit.evaluation.warping import warping_path
from v2skit.system.extras import needs

DECIBELS = 10 / math.log(10) * math.sqrt(2)


class Mcd:
    """Mel-cepstral distortion (Kubichek 1993), dB, frame by frame, without the energy coefficient c_0.

    Computed from the toolkit's default log mel x_k (24 kHz, 50 ms Hann window every 10 ms, 0-12 kHz, natural logarithm
    of magnitude), whatever mel a system is trained with, in the N of its 80 bins that lie in the band. Cepstra are
    scaled so that x_k = c_0 / 2 + sum_m c_m cos(...), which is sqrt(2 / N) times the orthonormal DCT-II, and

        MCD = mean over frames of 10 / ln 10 * sqrt(2 * sum_{m=1..13} (c_m - c'_m)^2)

    so that it is the root mean square, over mel bins, of the difference of the smoothed spectra in dB. Frames are
    compared one to one, without dynamic time warping, because speech and video are synchronous. Frames in which the
    reference is more than ``range_db`` below its loudest frame are silence and are left out of both signals. A silent
    hypothesis is at the floor of the mel, and scores tens of dB.

    Args:
        order: index of the last mel cepstrum.
        range_db: dynamic range of the reference that counts as speech, dB.
        max_hz: end of the band, Hz; null: where that of the reference ends, see
            :func:`v2skit.evaluation.paired_mels.bandwidth`.

    Raises:
        UserError: scipy is not installed, or an argument is out of range.
    """

    higher_is_better = {"mcd": False}
    version, pairing = "MCD v2", "frames one to one without warping"

    def __init__(self, order: int = 13, range_db: float = 40.0, max_hz: float | None = None) -> None:
        with needs("evaluate", "MCD", DROP_REMEDY):
            import_module("scipy")

        if not 0 < order < Mel().n_mels:
            raise UserError(f"order {order} must be 1 to {Mel().n_mels - 1}")
        self.order = order
        self.mels = PairedMels(max_hz, range_db, min_bins=order + 1)
        self.protocol = (
            f"{self.version}: dB, mel cepstra 1-{order} of the {MEL_PROTOCOL}, {band_protocol(max_hz)}, "
            f"{self.pairing}, reference frames over {range_db:g} dB below its loudest left out"
        )

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`.

        Raises:
            MetricError: also where the waveforms are shorter than one mel frame.
        """
        log_mel, speech = self.mels(reference, hypothesis, rate)
        from scipy.fft import dct

        cepstra = dct(log_mel.astype(np.float64), norm="ortho")[..., 1 : self.order + 1]  # (2, F, order)
        cepstra *= math.sqrt(2 / log_mel.shape[-1])
        ours, theirs = self.pairs(cepstra, speech)
        (name,) = self.higher_is_better
        distance = np.sqrt(np.square(cepstra[0, ours] - cepstra[1, theirs]).sum(-1))
        return {name: float(DECIBELS * distance.mean())}

    def pairs(self, cepstra: np.ndarray, speech: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the frames that are compared, of reference and hypothesis, from cepstra (2,F,C), speech (F,)."""
        return (np.flatnonzero(speech),) * 2


class McdDtw(Mcd):
    """Mel-cepstral distortion as :class:`Mcd`, along the path of dynamic time warping, as most papers report it: it
    hides what is late or early.

    The path is that of all frames whose sum of distances is smallest; the mean is over those of its pairs whose
    reference frame is speech.
    """

    higher_is_better = {"mcd_dtw": False}
    version, pairing = "MCD-DTW v1", "frames paired by dynamic time warping (steps 1-0, 0-1, 1-1, unweighted)"

    def pairs(self, cepstra: np.ndarray, speech: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Mcd.pairs`, along the path."""
        squares = np.square(cepstra).sum(-1)  # (2, F)
        distances = np.sqrt((squares[0][:, None] + squares[1] - 2 * cepstra[0] @ cepstra[1].T).clip(min=0))  # (F, F)
        ours, theirs = warping_path(distances)
        return ours[speech[ours]], theirs[speech[ours]]
