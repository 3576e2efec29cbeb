"""Generators look exactly as far as they say."""

import pytest
import torch

from tests.models.decoders.test_hifigan import lively
from tests.receptive_field import measured_receptive_field
from v2skit.config.features import Mel
from v2skit.errors import UserError
from v2skit.models.decoders.hifigan import HifiGan
from v2skit.models.decoders.istft import Istft
from v2skit.models.decoders.rates import reach
from v2skit.models.decoders.wavegan import WaveGan
from v2skit.signal.stft import Stft


def istft(step, **settings):
    return Istft(8, step, Mel(), **{"dim": 16, "blocks": 3, **settings})


def stated(generator):
    return generator.left_context_frames, generator.look_ahead_frames


def measured(generator, steps=60):
    torch.manual_seed(0)
    return measured_receptive_field(generator.eval(), torch.randn(1, steps, 8))


@pytest.mark.parametrize("step", [960, 240])
@pytest.mark.parametrize("settings", [{}, {"n_fft": 480}, {"n_fft": 720, "blocks": 1}, {"n_fft": 1200}])
def test_istft_looks_as_far_as_it_says(step, settings):
    generator = istft(step, **settings)
    assert stated(generator) == measured(generator)


@pytest.mark.parametrize(
    "step, frames, aheads",
    [  # four mel frames a step, of which the inverse STFT takes two; then one a step
        (960, 1, [0, 0, 2]),
        (960, 2, [0, 3, 3]),
        (960, 3, [3, 3, 3]),
        (240, 2, [0, 0, 0]),
        (240, 3, [0, 0, 1]),
        (240, 6, [0, 1, 3]),
    ],
)
def test_istft_shares_its_look_ahead_out_from_the_last_block_on(step, frames, aheads):
    generator = istft(step, look_ahead_frames=frames)
    impulse, mask = torch.zeros(1, 21, 16), torch.ones(1, 21, dtype=torch.bool)
    impulse[:, 10] = 1
    for block, ahead in zip(generator.blocks, aheads):
        response = block.depthwise(impulse, mask) - block.depthwise(0 * impulse, mask)
        assert 10 - int(response[0].any(1).nonzero().min()) == ahead
    assert generator.look_ahead_frames == frames
    assert stated(generator) == measured(generator)


@pytest.mark.parametrize("step, whole", [(960, 6), (240, 14)])
def test_istft_with_look_ahead_for_all_is_the_one_without_a_limit(step, whole):
    torch.manual_seed(0)
    limited = istft(step, look_ahead_frames=whole + 5)
    unlimited, x = istft(step), torch.randn(1, 9, 8)
    unlimited.load_state_dict(limited.state_dict())
    assert stated(limited) == stated(unlimited) == (whole, whole)
    assert torch.equal(limited(x), unlimited(x))


def test_istft_says_the_least_look_ahead():
    with pytest.raises(UserError, match="look_ahead_frames 1 is too few, for the inverse STFT alone needs 2; give"):
        istft(240, look_ahead_frames=1)
    with pytest.raises(UserError, match="look_ahead_frames 0 is too few.*alone needs 1"):
        istft(960, look_ahead_frames=0)
    with pytest.raises(UserError, match="look_ahead_frames -1 is too few"):
        istft(960, look_ahead_frames=-1)
    assert istft(240, look_ahead_frames=1, n_fft=480).look_ahead_frames == 1


@pytest.mark.parametrize("step", [960, 30, 7, 1])
@pytest.mark.parametrize("settings", [{}, {"out_kernel": 63}])
def test_wavegan_looks_as_far_as_it_says(step, settings):
    torch.manual_seed(1)
    generator = WaveGan(8, step, channels=16, **settings)
    assert stated(generator) == measured(generator, 80)


@pytest.mark.parametrize(
    "step, settings", [(960, {}), (30, {}), (7, {}), (30, {"rates": [5, 3, 2], "kernels": (3, 5), "dilations": (1, 4)})]
)
def test_hifigan_looks_as_far_as_it_says(step, settings):
    generator = lively(HifiGan(8, step, channels=16, **settings))
    assert stated(generator) == measured(generator)


def test_reach_by_hand():
    assert reach([], [3]) == (3, 3)
    assert reach([4], [0, 0]) == (1, 1)  # eight positions of two neighbours
    assert reach([4], [1, 2]) == (2, 2)
    assert reach([4], [1, 3]) == (3, 3)  # three samples beyond the step are in the neighbour that sees the next


@pytest.mark.parametrize("n_fft, reach", [(480, (1, 1)), (720, (1, 1)), (960, (2, 2)), (1200, (2, 2)), (1440, (3, 3))])
def test_an_inverse_stft_reaches_as_far_as_its_windows(n_fft, reach):
    def transform(x, mask):
        return stft.inverse(torch.complex(x, x.flip(-1)).transpose(1, 2), mask)

    torch.manual_seed(0)
    stft = Stft(n_fft, 240)
    assert measured_receptive_field(transform, torch.randn(1, 30, n_fft // 2 + 1)) == reach
