"""The mel filters and the DCT are those of their formulas, and those of other toolkits where such are installed."""

import numpy as np
import pytest
import torch
from scipy.fft import dct as scipy_dct

from v2skit.signal.filterbank import dct, mel_filters

SETTINGS = [(2048, 24000, 80, 0.0, 12000.0), (1024, 22050, 80, 80.0, 7600.0), (512, 16000, 40, 55.0, 8000.0)]


def test_filters_on_the_htk_scale_are_triangles_of_height_one():
    filters = mel_filters(2048, 24000, 20, 0.0, 12000.0, "htk").double()
    corners = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 12000 / 700), 22) / 2595) - 1)
    frequencies = np.arange(1025) * 24000 / 2048
    for bin_, (left, peak, right) in enumerate(zip(corners, corners[1:], corners[2:], strict=False)):
        triangle = np.interp(frequencies, [left, peak, right], [0, 1, 0])
        assert np.abs(filters[:, bin_].numpy() - triangle).max() < 1e-6


def test_filters_on_the_slaney_scale_are_of_unit_area_and_linear_below_a_kilohertz():
    filters = mel_filters(65536, 24000, 40, 0.0, 8000.0, "slaney").double()
    area = filters.sum(0) * 24000 / 65536
    assert (area - 1).abs().max() < 1e-3
    peaks = filters.argmax(0) * 24000 / 65536
    low = peaks[peaks < 950].diff()
    assert (low - low.mean()).abs().max() < 1  # Hz
    ratios = peaks[peaks > 1050][1:] / peaks[peaks > 1050][:-1]
    assert (ratios - ratios.mean()).abs().max() < 1e-3 and ratios.mean() > 1.05


@pytest.mark.parametrize("settings", SETTINGS)
def test_filters_are_those_of_librosa(settings):
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    n_fft, rate, n_mels, low, high = settings
    for scale, norm in (("slaney", "slaney"), ("htk", None)):
        limits = {"n_mels": n_mels, "fmin": low, "fmax": high}
        want = librosa.filters.mel(sr=rate, n_fft=n_fft, htk=scale == "htk", norm=norm, **limits)
        got = mel_filters(n_fft, rate, n_mels, low, high, scale)
        assert got.dtype == torch.float32 and np.abs(got.numpy() - want.T).max() < 1e-6 * want.max()


def test_the_dct_is_orthonormal_and_scipys():
    matrix = dct(80, 80).double()
    assert (matrix.T @ matrix - torch.eye(80)).abs().max() < 1e-6
    x = np.random.default_rng(0).normal(size=(3, 80))
    want = scipy_dct(x, type=2, norm="ortho")[:, :25]
    assert np.abs((torch.from_numpy(x) @ dct(80, 25).double()).numpy() - want).max() < 1e-5
