"""The loss ``estoi`` orders mels as ESTOI orders their waveforms; ``estoi_waveform`` is 1 - ESTOI."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pystoi import stoi
from torchaudio.functional import resample

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.losses.estoi import Estoi
from v2skit.losses.estoi_waveform import EstoiWaveform
from v2skit.models.output import Output
from v2skit.signal.mel import MelSpectrogram

RATE, SECONDS = 24000, 3


def modulated_noise(seed):
    """Noise whose bands are modulated independently at the rate of syllables, as in speech."""
    random = np.random.default_rng(seed)
    count = RATE * SECONDS
    spectrum = np.fft.rfft(random.standard_normal(count))
    frequencies, time = np.fft.rfftfreq(count, 1 / RATE), np.arange(count) / RATE
    waveform = np.zeros(count)
    for low in 100 * 1.5 ** np.arange(10):
        band = np.fft.irfft(np.where((frequencies >= low) & (frequencies < 1.5 * low), spectrum, 0), count)
        waveform += band * (1.1 + np.sin(2 * np.pi * (random.uniform(2, 6) * time + random.uniform())))
    return (0.1 * waveform / waveform.std()).astype(np.float32)


def loss_of(predicted, target, mask=None, **mel):
    mask = torch.ones(target.shape[:2], dtype=torch.bool) if mask is None else mask
    batch = SimpleNamespace(mel=target, mel_mask=lambda: mask)
    return Estoi(Clock(), Mel(**mel))(Output.of({"mel": predicted}), batch)["estoi"]


def loss_of_waveform(predicted, target, mask=None, rate=RATE):
    mask = torch.ones(target.shape, dtype=torch.bool) if mask is None else mask
    batch = SimpleNamespace(waveform=target, sample_mask=lambda: mask)
    return EstoiWaveform(Clock(sample_rate=rate))(Output(waveform=predicted), batch)["estoi_waveform"]


@pytest.fixture(scope="module")
def spectrogram():
    return MelSpectrogram(Clock(), Mel())


def test_it_orders_noisy_mels_as_estoi_their_waveforms(spectrogram):
    clean, random = modulated_noise(1), np.random.default_rng(2)
    target, pairs = spectrogram(torch.from_numpy(clean)[None]), []
    for snr in (30, 20, 10, 5, 0, -5, -10):
        noisy = clean + np.float32(0.1 * 10 ** (-snr / 20)) * random.standard_normal(len(clean)).astype(np.float32)
        ours = 1 - loss_of(spectrogram(torch.from_numpy(noisy)[None]), target).item()
        pairs.append((stoi(clean, noisy, RATE, extended=True), ours))
    theirs, ours = np.array(pairs).T
    assert (np.diff(ours) < 0).all() and np.corrcoef(theirs, ours)[0, 1] > 0.97
    assert abs(theirs - ours).max() < 0.2  # windows and bands of a mel are wider


def test_equal_modulations_are_perfect_at_any_level_and_other_speech_is_not(spectrogram):
    target, other = (spectrogram(torch.from_numpy(modulated_noise(seed))[None]) for seed in (1, 2))
    assert loss_of(target, target).item() == pytest.approx(0, abs=1e-4)
    assert loss_of(target + 1.0, target).item() == pytest.approx(0, abs=1e-4)
    assert 0.7 < loss_of(other, target).item() < 1.3
    flat = loss_of(target.mean(1, keepdim=True).expand_as(target), target)
    assert 0.5 < flat.item() <= 1.01


def test_padding_and_silence_do_not_count_and_a_short_clip_has_no_gradient(spectrogram):
    target, other = (spectrogram(torch.from_numpy(modulated_noise(seed))[None]) for seed in (1, 2))
    mask = torch.ones(1, 300, dtype=torch.bool)
    mask[:, 200:] = False
    padded, short = target.clone(), torch.zeros(1, 300, dtype=torch.bool)
    padded[:, 200:], short[:, :20] = other[:, 200:], True
    assert loss_of(padded, target, mask).item() == pytest.approx(0, abs=1e-4)
    silent = target.clone()
    silent[:, 200:] = -11.0
    assert loss_of(padded, silent).item() == pytest.approx(0, abs=1e-4)
    predicted = other.clone().requires_grad_()
    loss_of(predicted, target, short).backward()
    assert not predicted.grad.any()


def test_the_gradient_is_finite_and_descends(spectrogram):
    target, other = (spectrogram(torch.from_numpy(modulated_noise(seed))[None]) for seed in (1, 2))
    for start in (other, torch.full_like(target, -11.5)):
        predicted = start.clone().requires_grad_()
        before = loss_of(predicted, target)
        before.backward()
        assert predicted.grad.isfinite().all()
    optimiser = torch.optim.Adam([predicted := other.clone().requires_grad_()], 0.1)
    for _ in range(30):
        optimiser.zero_grad()
        loss_of(predicted, target).backward()
        optimiser.step()
    assert loss_of(predicted, target).item() < 0.5 * loss_of(other, target).item()


def test_a_mel_without_the_bands_is_refused():
    with pytest.raises(UserError, match=r"needs a mel from 134 to 4276 Hz, this one has 0 to 4000 Hz"):
        Estoi(Clock(), Mel(f_max=4000))


@pytest.mark.parametrize("snr", [20, 5, -5])
@pytest.mark.parametrize("rate", [10000, 16000, RATE])
def test_of_waveforms_it_is_estoi(snr, rate):
    """Bands at other sample rates are those of 10 kHz to the resolution of the transform."""
    clean, random = torch.from_numpy(modulated_noise(1)), np.random.default_rng(2)
    noise = torch.from_numpy(random.standard_normal(len(clean)).astype(np.float32))
    pair = [resample(x, RATE, rate) for x in (clean, clean + 0.1 * 10 ** (-snr / 20) * noise)]
    theirs = stoi(pair[0].numpy(), pair[1].numpy(), rate, extended=True)
    assert 1 - loss_of_waveform(pair[1][None], pair[0][None], rate=rate).item() == pytest.approx(theirs, abs=0.02)


def test_of_waveforms_pauses_and_padding_do_not_count_and_gradients_are_finite():
    target, other = (torch.from_numpy(modulated_noise(seed))[None] for seed in (1, 2))
    pause, mask = target.clone(), torch.ones(target.shape, dtype=torch.bool)
    pause[:, 2 * RATE :] *= 1e-3
    mixed = torch.cat([target[:, : 2 * RATE], other[:, 2 * RATE :]], 1)
    mask[:, 2 * RATE :] = False
    assert loss_of_waveform(mixed, pause).item() < 0.05 and loss_of_waveform(mixed, target, mask).item() < 0.05
    assert loss_of_waveform(mixed, target).item() > 0.2
    for start in (other, torch.zeros_like(target)):
        predicted = start.clone().requires_grad_()
        loss_of_waveform(predicted, target).backward()
        assert predicted.grad.isfinite().all()


def test_of_waveforms_a_sample_rate_without_the_bands_is_refused():
    with pytest.raises(UserError, match="needs a sample rate of 10000 Hz or more, this is 8000"):
        EstoiWaveform(Clock(sample_rate=8000))
