"""The inverse-STFT generator."""

import pytest
import torch

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.decoders.istft import Istft
from v2skit.testing import check_decoder


def test_it_keeps_the_contract_at_other_clocks():
    clock, mel = Clock(16000, 20), Mel(hop=200, n_fft=800, window=800, f_max=8000)
    check_decoder(Istft(12, clock.samples_per_frame, mel, dim=16, blocks=1), 12, clock, mel)


def test_both_roles_have_their_lengths_and_start_at_a_sensible_level():
    torch.manual_seed(0)
    vocoder, decoder = Istft(80, 240, Mel(), dim=32, blocks=2), Istft(24, 960, Mel(), dim=32, blocks=2)
    for generator, x in ((vocoder, torch.randn(2, 20, 80)), (decoder, torch.randn(2, 5, 24))):
        waveform = generator(x)
        assert waveform.shape == (2, 4800) and waveform.dtype == torch.float32
        assert 1e-3 < waveform.std() < 1
    with torch.autocast("cpu", torch.bfloat16):
        assert vocoder(torch.randn(1, 4, 80)).dtype == torch.float32


def test_wild_magnitudes_stay_finite():
    generator = Istft(8, 240, Mel(), dim=16, blocks=1)
    generator.head.weight.data *= 1e4
    x = torch.randn(1, 6, 8, requires_grad=True)
    waveform = generator(x)
    waveform.square().mean().backward()
    assert waveform.isfinite().all() and x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("step", "hop", "settings"),
    [
        (960, 250, {}),
        (960, 240, {"dim": 0}),
        (960, 240, {"ff_dim": -3}),
        (960, 240, {"n_fft": 481}),
        (960, 240, {"n_fft": 240}),
        (75, 75, {}),
    ],
)
def test_wrong_settings_are_errors(step, hop, settings):
    with pytest.raises(UserError):
        Istft(8, step, Mel(hop=hop, n_fft=2048 + hop % 2, window=1200), **settings)
