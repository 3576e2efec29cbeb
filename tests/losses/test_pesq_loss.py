"""The loss ``pesq``: near the disturbance that the package pesq finds, with gradients everywhere."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfiltfilt
from torchaudio.functional import resample

from tests.losses.test_estoi_loss import RATE, loss_of_waveform, modulated_noise
from v2skit.config.features import Clock
from v2skit.errors import UserError
from v2skit.losses.pesq import Pesq
from v2skit.models.output import Output


def loss_of(predicted, target, mask=None, rate=RATE):
    predicted, target = (torch.as_tensor(x)[None] for x in (predicted, target))
    mask = torch.ones(target.shape, dtype=torch.bool) if mask is None else mask
    batch = SimpleNamespace(waveform=target, sample_mask=lambda: mask)
    return Pesq(Clock(sample_rate=rate))(Output(waveform=predicted), batch)["pesq"]


def disturbance(predicted, target):
    """4.5 minus the raw score of the package, from its MOS-LQO."""
    pesq = pytest.importorskip("pesq", reason="the extra metrics is not installed").pesq
    pair = [resample(torch.as_tensor(x.copy()), RATE, 16000).numpy() for x in (target, predicted)]
    return 4.5 - (4.6607 - math.log(4 / (pesq(16000, *pair, "wb") - 0.999) - 1)) / 1.4945


def speech(seed=1):
    """Modulated noise with a pause in the middle."""
    waveform = modulated_noise(seed)
    waveform[RATE : RATE + RATE // 2] *= 1e-3
    return waveform


def test_it_is_near_the_disturbance_of_pesq():
    clean, random, pairs = speech(), np.random.default_rng(2), []
    noise = random.standard_normal(len(clean)).astype(np.float32)
    degraded = [clean + 0.1 * 10 ** (-snr / 20) * noise for snr in (40, 30, 20, 10, 0)]
    degraded += [sosfiltfilt(butter(4, hz, fs=RATE, output="sos"), clean).astype(np.float32) for hz in (1000, 3000)]
    degraded.append(0.5 * clean + 0.5 * modulated_noise(3))
    for other in degraded:
        pairs.append((disturbance(other, clean), loss_of(other, clean).item()))
    theirs, ours = np.array(pairs).T
    assert np.corrcoef(theirs, ours)[0, 1] > 0.98 and abs(theirs - ours).max() < 0.6


def test_the_level_and_padding_do_not_count():
    clean, other = speech(), modulated_noise(2)
    assert loss_of(clean, clean).item() < 1e-3
    assert loss_of(0.1 * clean, clean).item() == pytest.approx(loss_of(clean, clean).item(), abs=1e-3)
    mask = torch.ones(1, len(clean), dtype=torch.bool)
    mask[:, 2 * RATE :] = False
    padded = np.concatenate([clean[: 2 * RATE], other[2 * RATE :]])
    assert loss_of(padded, clean, mask).item() < 0.2 and loss_of(other, clean, mask).item() > 1
    assert loss_of(other, np.zeros_like(clean)).item() == 0


def test_the_gradient_is_finite_and_descends():
    target, other = torch.from_numpy(speech()), torch.from_numpy(modulated_noise(2))
    for start in (other, torch.zeros_like(target), target):
        predicted = start.clone().requires_grad_()
        loss_of(predicted, target).backward()
        assert predicted.grad.isfinite().all()
    mixed = (0.5 * target + 0.5 * other).requires_grad_()
    optimiser, before = torch.optim.Adam([mixed], 1e-3), loss_of(mixed, target).item()
    for _ in range(20):
        optimiser.zero_grad()
        loss_of(mixed, target).backward()
        optimiser.step()
    assert loss_of(mixed, target).item() < 0.9 * before


@pytest.mark.parametrize("loss", [loss_of, lambda *pair: loss_of_waveform(*(x[None] for x in pair))])
def test_the_gradient_of_an_almost_silent_prediction_is_limited(loss):
    target, other = torch.from_numpy(speech()), torch.from_numpy(modulated_noise(2))

    def of(gain):
        predicted = (gain * other).requires_grad_()
        value = loss(predicted, target)
        value.backward()
        return value.item(), predicted.grad.norm().item()

    ordinary, quiet = of(1.0), of(2e-3)
    assert quiet[0] == pytest.approx(ordinary[0], rel=1e-4)
    for gain in (1e-4, 1e-5, 1e-6, 1e-7, 1e-8):
        assert of(gain)[1] < 3 * quiet[1]


def test_a_narrow_sample_rate_is_refused():
    with pytest.raises(UserError, match="needs a sample rate of 16000 Hz or more, this is 8000"):
        Pesq(Clock(sample_rate=8000))
