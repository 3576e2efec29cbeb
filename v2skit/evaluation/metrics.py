"""Metrics: a reference and a hypothesis waveform -> named numbers.

A hypothesis is as long as its reference to the sample, because synthesis is exactly as long as its video; a metric
refuses everything else. Scores compare only within one ``protocol``, so results name it.
"""

from __future__ import annotations

import math
import warnings
from importlib import import_module
from importlib.metadata import version
from typing import Protocol

import numpy as np
import torch

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.signal.mel import MelSpectrogram
from v2skit.system.extras import needs

NOT_SCORED = "drop it from scoring"
"""The other remedy where a package of a metric or recogniser is missing."""

_STOI_SECONDS = 0.4  # its 30 frames of 25.6 ms, half overlapping
_TOO_LITTLE_SPEECH = f"less than {_STOI_SECONDS} s of speech in the reference"


class MetricError(UserError):
    """One file can't be scored by one metric; scoring counts it, with the reason."""


class Metric(Protocol):
    """A metric component. Scoring copies it to other processes, so it must pickle.

    Attributes:
        protocol: how the numbers are made, with the version of what makes them.
        higher_is_better: each name that the metric gives, and its direction.
    """

    protocol: str
    higher_is_better: dict[str, bool]

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """Score one file.

        Args:
            reference: (N,), in [-1, 1].
            hypothesis: (N,), in [-1, 1].
            rate: of both, Hz.

        Returns:
            a finite number for each name in ``higher_is_better``.

        Raises:
            MetricError: the two can't be compared, with the reason.
        """


class Stoi:
    """Short-time objective intelligibility (Taal et al. 2011), by pystoi at its own 10 kHz."""

    higher_is_better = {"stoi": True}
    extended = False

    def __init__(self) -> None:
        with needs("evaluate", "STOI", NOT_SCORED):
            from pystoi import stoi

        self._stoi = stoi
        kind = "ESTOI (Jensen & Taal 2016)" if self.extended else "STOI (Taal et al. 2011)"
        self.protocol = f"{kind}, pystoi {version('pystoi')}, resampled to 10 kHz; a silent hypothesis scores 0"

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`Metric`. MetricError also where less than 0.4 s of the reference is speech."""
        reference, hypothesis = _checked(reference, hypothesis)
        (name,) = self.higher_is_better
        if len(reference) < _STOI_SECONDS * rate:
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
    """Extended short-time objective intelligibility (Jensen & Taal 2016), by pystoi at its own 10 kHz."""

    higher_is_better = {"estoi": True}
    extended = True


class PesqWideBand:
    """Perceptual evaluation of speech quality, wide band (ITU-T P.862.2), 16 kHz."""

    higher_is_better = {"pesq_wb": True}
    mode, standard = "wb", "P.862.2, wide band"
    rate = 16000

    def __init__(self) -> None:
        with needs("pesq", "PESQ", NOT_SCORED):
            import pesq

        self._pesq, self._errors = pesq.pesq, (pesq.PesqError, ValueError)
        self.protocol = f"PESQ {self.standard}, MOS-LQO, pesq {version('pesq')}, resampled to 16 kHz (polyphase)"

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> dict[str, float]:
        """See :class:`Metric`. MetricError also for a silent hypothesis, no speech found, or less than 0.25 s."""
        reference, hypothesis = _checked(reference, hypothesis)
        if not hypothesis.any():
            raise MetricError("PESQ is undefined for a silent hypothesis")
        (name,) = self.higher_is_better
        reference, hypothesis = resample(reference, rate, self.rate), resample(hypothesis, rate, self.rate)
        try:
            return {name: float(self._pesq(self.rate, reference, hypothesis, self.mode))}
        except self._errors as error:
            reason = error.args[0] if error.args else type(error).__name__
            raise MetricError(f"PESQ: {reason.decode() if isinstance(reason, bytes) else reason}") from error


class PesqNarrowBand(PesqWideBand):
    """Perceptual evaluation of speech quality, narrow band (ITU-T P.862 and P.862.1), from 16 kHz sound."""

    higher_is_better = {"pesq_nb": True}
    mode, standard = "nb", "P.862 + P.862.1, narrow band"


class Mcd:
    """Mel-cepstral distortion in dB (Kubichek 1993), frame by frame, without the level (c0).

    From the toolkit's default log mel x_k of N = 80 bins (24 kHz, 50 ms Hann window every 10 ms, 0-12 kHz, natural
    logarithm of magnitude), whatever mel a system is trained with. Cepstra are scaled so that x_k = c_0 / 2 +
    sum_m c_m cos(...), which is sqrt(2 / N) times the orthonormal DCT-II, and

        MCD = mean over frames of 10 / ln 10 * sqrt(2 * sum_{m=1..13} (c_m - c'_m)^2)

    so that it is the root mean square, over mel bins, of the difference of the smoothed spectra in dB. Frames are
    compared one to one, because output and video share their clock: no warping. Frames of the reference more than
    ``range_db`` below its loudest are silence and do not count, in either signal.

    Args:
        order: last mel cepstrum.
        range_db: dynamic range of the reference that counts as speech, dB.

    Raises:
        UserError: ``order`` or ``range_db`` is out of range.
    """

    higher_is_better = {"mcd": False}

    def __init__(self, order: int = 13, range_db: float = 40.0) -> None:
        with needs("evaluate", "MCD", NOT_SCORED):
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
        """See :class:`Metric`."""
        sounds = [resample(s, rate, self.clock.sample_rate) for s in _checked(reference, hypothesis)]
        whole = len(sounds[0]) // self.mel.hop * self.mel.hop
        if not whole:
            raise MetricError(f"shorter than one frame ({self.mel.hop} samples at {self.clock.sample_rate} Hz)")
        with torch.no_grad():
            log_mel = self._spectrogram(torch.from_numpy(np.stack(sounds)[:, :whole]))  # (2, F, M)
            level = self._spectrogram.magnitude(log_mel[0]).square().sum(-1).log10().mul(10).numpy()  # (F,), dB
        speech = level > level.max() - self.range_db
        from scipy.fft import dct

        cepstra = dct(log_mel.numpy()[:, speech].astype(np.float64), norm="ortho")[..., 1 : self.order + 1]
        cepstra *= math.sqrt(2 / self.mel.n_mels)
        distance = np.sqrt(2 * np.square(cepstra[0] - cepstra[1]).sum(-1))  # (frames of speech,)
        return {"mcd": float(10 / math.log(10) * distance.mean())}


def resample(waveform: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """(N,) -> (ceil(N * wanted / rate),) by a polyphase filter."""
    if rate == wanted:
        return waveform
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, wanted)
    return resample_poly(waveform, wanted // divisor, rate // divisor)


def _checked(reference: np.ndarray, hypothesis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64. Raises MetricError where they can't be compared."""
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
