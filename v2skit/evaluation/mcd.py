"""Mel-cepstral distortion."""

from __future__ import annotations

import math
from importlib import import_module

import numpy as np
import torch

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.evaluation.metrics import DROP_REMEDY, MetricError, check_pair, resample
from v2skit.signal.mel import MelSpectrogram
from v2skit.system.extras import needs


class Mcd:
    """Mel-cepstral distortion (Kubichek 1993), dB, frame by frame, without the energy coefficient c_0.

    Computed from the toolkit's default log mel x_k of N = 80 bins (24 kHz, 50 ms Hann window every 10 ms, 0-12 kHz,
    natural logarithm of magnitude), whatever mel a system is trained with. Cepstra are scaled so that x_k = c_0 / 2 +
    sum_m c_m cos(...), which is sqrt(2 / N) times the orthonormal DCT-II, and

        MCD = mean over frames of 10 / ln 10 * sqrt(2 * sum_{m=1..13} (c_m - c'_m)^2)

    so that it is the root mean square, over mel bins, of the difference of the smoothed spectra in dB. Frames are
    compared one to one, without dynamic time warping, because speech and video are synchronous. Frames in which the
    reference is more than ``range_db`` below its loudest frame are silence and are left out of both signals.

    Args:
        order: index of the last mel cepstrum.
        range_db: dynamic range of the reference that counts as speech, dB.

    Raises:
        UserError: scipy is not installed, or ``order`` or ``range_db`` is out of range.
    """

    higher_is_better = {"mcd": False}

    def __init__(self, order: int = 13, range_db: float = 40.0) -> None:
        with needs("evaluate", "MCD", DROP_REMEDY):
            import_module("scipy")

        self.order, self.range_db = order, range_db
        self.clock, self.mel = Clock(), Mel()
        if not 0 < order < self.mel.n_mels or range_db <= 0:
            raise UserError(
                f"mcd: order {order} must be 1 to {self.mel.n_mels - 1}, and range_db {range_db:g} more than 0"
            )
        self._spectrogram = MelSpectrogram(self.clock, self.mel)
        self.protocol = (
            f"MCD v1: dB, mel cepstra 1-{order} of the 80-bin log mel (24 kHz, 50 ms Hann, 10 ms hop, 0-12 kHz), "
            f"frames one to one without warping, reference frames over {range_db:g} dB below its loudest left out"
        )

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`v2skit.evaluation.metrics.Metric`.

        Raises:
            MetricError: also where the waveforms are shorter than one mel frame.
        """
        waveforms = [resample(w, rate, self.clock.sample_rate) for w in check_pair(reference, hypothesis)]
        whole = len(waveforms[0]) // self.mel.hop * self.mel.hop
        if not whole:
            raise MetricError(f"shorter than one frame ({self.mel.hop} samples at {self.clock.sample_rate} Hz)")
        with torch.no_grad():
            log_mel = self._spectrogram(torch.from_numpy(np.stack(waveforms)[:, :whole]))  # (2, F, M)
            level = self._spectrogram.magnitude(log_mel[0]).square().sum(-1).log10().mul(10).numpy()  # (F,), dB
        speech = level > level.max() - self.range_db
        from scipy.fft import dct

        cepstra = dct(log_mel.numpy()[:, speech].astype(np.float64), norm="ortho")[..., 1 : self.order + 1]
        cepstra *= math.sqrt(2 / self.mel.n_mels)
        distance = np.sqrt(2 * np.square(cepstra[0] - cepstra[1]).sum(-1))  # (frames of speech,)
        return {"mcd": float(10 / math.log(10) * distance.mean())}
