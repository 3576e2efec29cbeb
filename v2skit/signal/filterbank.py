"""The two constant matrices of speech features: the mel filterbank, and the DCT of cepstral coefficients.

torchaudio has both, but is an optional dependency.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_LINEAR_STEP = 200 / 3  # Hz for each mel of Slaney's scale up to _CORNER Hz; above it each is a factor of _LOG_STEP
_CORNER = 1000.0
_LOG_STEP = math.exp(math.log(6.4) / 27)
_HTK_CORNER, _HTK_SCALE = 700.0, 2595.0


def mel_filters(n_fft: int, sample_rate: int, n_mels: int, f_min: float, f_max: float, scale: str) -> Tensor:
    """Triangular filters from the magnitude spectrum to mel bins, float32 (n_fft/2+1, n_mels).

    The corners are equally spaced on the mel scale from ``f_min`` to ``f_max`` (Hz); bin m rises from corner m to
    corner m+1 and falls to corner m+2.

    Args:
        n_fft: FFT length, samples.
        sample_rate: Hz.
        n_mels: number of bins.
        f_min: lowest corner, Hz.
        f_max: highest corner, Hz.
        scale: ``slaney``: linear below 1 kHz and logarithmic above (Slaney, Auditory Toolbox, 1998), each filter of
            unit area over Hz; ``htk``: 2595 log10(1 + f / 700), each filter of peak 1.
    """
    low, high = (_to_mel(f, scale) for f in (f_min, f_max))
    corners = _to_hz(torch.linspace(low, high, n_mels + 2, dtype=torch.float64), scale)  # (n_mels + 2,)
    frequencies = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft  # (K,)
    left, peak, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (frequencies[:, None] - left) / (peak - left)  # (K, n_mels)
    falling = (right - frequencies[:, None]) / (right - peak)
    filters = torch.minimum(rising, falling).clamp(min=0.0)
    if scale == "slaney":
        filters = filters * (2.0 / (right - left))
    return filters.float()


def dct(n_inputs: int, n_coefficients: int) -> Tensor:
    """The first coefficients of the orthonormal DCT-II as a matrix, float32 (n_inputs, n_coefficients)."""
    centre = torch.arange(n_inputs, dtype=torch.float64)[:, None] + 0.5
    basis = torch.cos(math.pi / n_inputs * centre * torch.arange(n_coefficients)) * math.sqrt(2 / n_inputs)
    basis[:, 0] /= math.sqrt(2)
    return basis.float()


def _to_mel(hz: float, scale: str) -> float:
    if scale == "htk":
        return _HTK_SCALE * math.log10(1 + hz / _HTK_CORNER)
    if hz < _CORNER:
        return hz / _LINEAR_STEP
    return _CORNER / _LINEAR_STEP + math.log(hz / _CORNER) / math.log(_LOG_STEP)


def _to_hz(mel: Tensor, scale: str) -> Tensor:
    if scale == "htk":
        return _HTK_CORNER * (10 ** (mel / _HTK_SCALE) - 1)
    corner = _CORNER / _LINEAR_STEP
    return torch.where(mel < corner, mel * _LINEAR_STEP, _CORNER * _LOG_STEP ** (mel - corner))
