import math

import pytest
import torch

from tests.unit_targets import unit_targets
from v2skit.data.batch import Batch
from v2skit.models.decoders.units import Units
from v2skit.testing import check_training_loss

MASK = torch.tensor([[True, True, True], [True, False, False]])


def batch(units):
    return Batch(["a", "b"], MASK, torch.zeros(2, 0), torch.zeros(2, 3 * 960), extras={"units": units})


def test_the_most_probable_units_are_its_output():
    torch.manual_seed(0)
    decoder = Units(4, unit_targets(per_frame=2)).eval()
    x = torch.randn(2, 3, 4)
    units = decoder(x, MASK)
    assert units.dtype == torch.long and units.shape == (2, 6) and not units[1, 2:].any()
    assert torch.equal(units, decoder.head(x, MASK)["units"].argmax(-1))
    assert units[0].unique().numel() > 1


def test_its_training_loss_keeps_the_contract():
    check_training_loss(Units(4, unit_targets()), 4, batch(torch.tensor([[0, 4, 2], [3, -1, -1]])))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss_of_equal_logits_is_that_of_chance_and_padding_does_not_enter(smoothing):
    decoder = Units(4, unit_targets(clusters=5), label_smoothing=smoothing)
    with torch.no_grad():
        decoder.head.linear.weight.zero_()
        decoder.head.linear.bias.zero_()
    for padding in (-1, 0, 3):
        units = torch.tensor([[0, 4, 2], [3, padding, padding]])
        values = decoder.training_loss(torch.randn(2, 3, 4), MASK, batch(units))
        assert values.keys() == {"cross_entropy"} and values["cross_entropy"].item() == pytest.approx(math.log(5))


def test_training_makes_the_units_those_of_the_batch():
    torch.manual_seed(0)
    decoder, x = Units(8, unit_targets(per_frame=2)), torch.randn(2, 3, 8)
    units = torch.tensor([[0, 1, 2, 3, 4, 0], [1, 2, 0, 0, 0, 0]], dtype=torch.int32)
    optimiser = torch.optim.Adam(decoder.parameters(), lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        decoder.training_loss(x, MASK, batch(units))["cross_entropy"].backward()
        optimiser.step()
    assert torch.equal(decoder(x, MASK), units.long())
