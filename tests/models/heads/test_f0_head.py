"""The head with F0 and voicing."""

import pytest
import torch

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.heads.f0 import F0Head
from v2skit.testing import check_head


def head(**arguments):
    torch.manual_seed(0)
    return F0Head(8, Clock(), Mel(), dim=16, blocks=1, **arguments)


def test_it_keeps_its_contract():
    check_head(head(), 8)


def test_f0_stays_in_its_range_and_both_are_zero_beyond_the_mask():
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    streams = head(floor_hz=80, ceiling_hz=300)(1000 * torch.randn(2, 5, 8), mask)
    valid = mask.repeat_interleave(4, dim=1)
    assert streams["f0"].shape == streams["voicing"].shape == (2, 20)
    assert streams["f0"][valid].min() >= 80 and streams["f0"][valid].max() <= 300.001
    assert not streams["f0"][~valid].any() and not streams["voicing"][~valid].any()


def test_an_empty_range_is_an_error():
    with pytest.raises(UserError, match="floor_hz 300 must be below ceiling_hz 300"):
        head(floor_hz=300, ceiling_hz=300)
