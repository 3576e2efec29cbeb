"""ConvNeXt blocks over time."""

import pytest
import torch

from v2skit.models.layers.convnext import ConvNeXtBlock, distribute


def test_a_modulation_of_zero_changes_nothing():
    torch.manual_seed(0)
    block, x, mask = ConvNeXtBlock(4, 8, 0.5, 3), torch.randn(2, 9, 4), torch.ones(2, 9, dtype=torch.bool)
    assert torch.equal(block(x, mask, torch.zeros(2, 1, 8)), block(x, mask))
    other = block(x, mask, torch.randn(2, 1, 8))
    assert (other - block(x, mask)).abs().mean() > 0.01


@pytest.mark.parametrize(
    ("look_ahead", "want"), [(None, [3, 3, 3]), (0, [0, 0, 0]), (4, [0, 1, 3]), (7, [1, 3, 3]), (20, [3, 3, 3])]
)
def test_look_ahead_is_distributed_from_the_last_block(look_ahead, want):
    assert distribute(look_ahead, 3) == want
