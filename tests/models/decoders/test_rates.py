import itertools
import math

import pytest
import torch

from v2skit.errors import UserError
from v2skit.models.decoders.rates import at_rate, inner_mask, transposed, upsampling_rates


@pytest.mark.parametrize(
    "step, want",
    [(960, [8, 6, 5, 4]), (240, [8, 6, 5]), (300, [10, 6, 5]), (256, [8, 8, 4]), (640, [10, 8, 8]), (7, [7]), (1, [])],
)
def test_rates_are_few_even_and_falling(step, want):
    assert upsampling_rates(step, None) == want


@pytest.mark.parametrize("step", [441, 735, 882, 1200, 1764])
def test_no_shorter_list_of_rates_has_that_product(step):
    rates = upsampling_rates(step, None)
    assert math.prod(rates) == step and max(rates) <= 10 and rates == sorted(rates, reverse=True)
    shorter = itertools.combinations_with_replacement(range(1, 11), len(rates) - 1)
    assert step not in map(math.prod, shorter)


def test_rates_of_the_config_are_used():
    assert upsampling_rates(240, [5, 12, 4]) == [5, 12, 4]
    assert upsampling_rates(22, [11, 2]) == [11, 2]


def test_bad_rates_have_a_clear_error():
    with pytest.raises(UserError, match=r"multiply to 256, but an input step has 240 samples; \[8, 6, 5\] would do"):
        upsampling_rates(240, [8, 8, 2, 2])
    with pytest.raises(UserError, match=r"\[13, 2\] would do"):
        upsampling_rates(26, [8])
    with pytest.raises(UserError, match="multiply to 240"):
        upsampling_rates(240, [-8, -6, 5])
    with pytest.raises(UserError, match="step of 220 samples.* prime factor 11; choose another clock.*mel.hop"):
        upsampling_rates(220, None)


@pytest.mark.parametrize("rate", [1, 2, 3, 5, 8])
def test_transposed_is_exactly_as_long_and_centred(rate):
    layer = transposed(1, 1, rate)
    torch.nn.init.ones_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    impulse = torch.zeros(1, 1, 7)
    impulse[..., 3] = 1
    response = layer(impulse)[0, 0]
    assert len(response) == 7 * rate
    touched = response.nonzero().squeeze(1)
    assert len(touched) == 2 * rate + rate % 2
    assert touched[0] + touched[-1] == 6 * rate + rate - 1  # twice the centre of [3 rate, 4 rate)
    assert touched[0] < 3 * rate and touched[-1] >= 4 * rate  # overlaps both neighbours


def test_masks():
    x, mask = torch.zeros(2, 3, 5), torch.tensor([[True, True, True], [True, False, False]])
    assert inner_mask(x, None, 5, "part") is None
    assert inner_mask(x, torch.ones_like(mask), 5, "part") is None
    assert inner_mask(x, mask, 5, "part") is mask
    assert at_rate(None, 4) is None
    assert at_rate(mask, 2).tolist() == [[True] * 6, [True] * 2 + [False] * 4]


@pytest.mark.parametrize("shape", [(2, 3, 4), (3, 5), (2, 3)])
def test_another_shape_is_an_error_with_and_without_a_mask(shape):
    with pytest.raises(UserError, match="part: input of shape"):
        inner_mask(torch.zeros(shape), None, 5, "part")
    with pytest.raises(UserError, match="part: input of shape"):
        inner_mask(torch.zeros(shape), torch.ones(2, 3, dtype=torch.bool), 5, "part")
