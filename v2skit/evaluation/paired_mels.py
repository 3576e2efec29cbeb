"""Log mels of a reference and a hypothesis, for the metrics that compare spectra, and the band that a reference has."""

from __future__ import annotations

import numpy as np
import torch

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.evaluation.metrics import MetricError, check_pair, resample
from v2skit.signal.mel import MelSpectrogram

MEL_PROTOCOL = "80-bin log mel (24 kHz, 50 ms Hann, 10 ms hop, 0-12 kHz)"
"""The toolkit's default log mel, of natural logarithms of magnitudes, whatever mel a system is trained with."""

EDGES_HZ = (4000.0, 5512.5, 8000.0, 11025.0)
"""Half the usual sample rates below 24 kHz: where the band of speech that was recorded at a lower rate ends."""

_GAP = 1.05  # the transition band of resamplers
_EMPTY = 1e-7, 10**-9.5  # power of what is above an edge, relative to all, and to full scale: rounding to 16 bits


def bandwidth(reference: np.ndarray, rate: int) -> float:
    """Where the band of a waveform (N,) ends, Hz: the lowest of :data:`EDGES_HZ` above which there is nothing, that is
    less than -70 dB of its power or -95 dBFS; half the sample rate where there is none."""
    power = np.abs(np.fft.rfft(reference)) ** 2 * 2 / len(reference) ** 2  # (N / 2 + 1,), its sum is the mean square
    hz = np.fft.rfftfreq(len(reference), 1 / rate)
    share, full_scale = _EMPTY
    empty = max(share * power.sum(), full_scale)
    return next((e for e in EDGES_HZ if _GAP * e < rate / 2 and power[hz > _GAP * e].sum() < empty), rate / 2)


def band_protocol(max_hz: float | None) -> str:
    """What a metric's protocol says of its band."""
    if max_hz is None:
        return "up to the end of the reference's band (4, 5.5, 8 or 11 kHz where less than -70 dB of power is above)"
    return f"up to {max_hz:g} Hz"


class PairedMels:
    """(reference, hypothesis, rate) -> their log mels (2,F,M) in the band, and which frames (F,) of the reference are
    speech.

    Args:
        max_hz: end of the band, Hz: mel bins that reach above it are left out. None: :func:`bandwidth` of the
            reference. A hypothesis is not compared where its reference has nothing: there, inaudible noise would be
            tens of dB from the floor of the mel.
        range_db: frames in which the reference is more than this below its loudest frame are no speech, dB.
        min_bins: mel bins that the metric needs.

    Raises:
        UserError: ``range_db`` is not positive, or the band has too few bins.
    """

    def __init__(self, max_hz: float | None, range_db: float, min_bins: int = 1) -> None:
        self.max_hz, self.range_db = max_hz, range_db
        self.clock, self.mel = Clock(), Mel()
        self._spectrogram = MelSpectrogram(self.clock, self.mel)
        peaks = self._spectrogram.filters.flip(0).ne(0).float().argmax(0)  # from the end: (M,)
        self._ends = (self.mel.n_fft / 2 - peaks.numpy()) * self.clock.sample_rate / self.mel.n_fft  # (M,), Hz
        if range_db <= 0 or (max_hz is not None and self._bins(max_hz) < min_bins):
            raise UserError(f"range_db {range_db:g} must be more than 0, and max_hz above {self._ends[min_bins - 1]:g}")

    def _bins(self, max_hz: float) -> int:
        return int((self._ends <= max_hz).sum())

    def __call__(self, reference: np.ndarray, hypothesis: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
        """See above.

        Raises:
            MetricError: as :func:`v2skit.evaluation.metrics.check_pair`, or they are shorter than one mel frame.
        """
        waveforms = [resample(w, rate, self.clock.sample_rate) for w in check_pair(reference, hypothesis)]
        whole = len(waveforms[0]) // self.mel.hop * self.mel.hop
        if not whole:
            raise MetricError(f"shorter than one frame ({self.mel.hop} samples at {self.clock.sample_rate} Hz)")
        with torch.no_grad():
            log_mel = self._spectrogram(torch.from_numpy(np.stack(waveforms)[:, :whole]))
            level = self._spectrogram.magnitude(log_mel[0]).square().sum(-1).log10().mul(10).numpy()  # (F,), dB
        max_hz = bandwidth(waveforms[0], self.clock.sample_rate) if self.max_hz is None else self.max_hz
        return log_mel[..., : self._bins(max_hz)].numpy(), level > level.max() - self.range_db
