import pytest
import torch
from torch import nn

from tests.unit_targets import unit_targets
from v2skit.errors import UserError
from v2skit.models.heads.units import UnitsHead


def test_each_video_frame_has_the_logits_of_its_own_units_in_order():
    head = UnitsHead(3, unit_targets(clusters=2, per_frame=2))
    with torch.no_grad():
        head.linear.weight.zero_()
        head.linear.bias.copy_(torch.arange(4.0))
    mask = torch.tensor([[True, True], [True, False]])
    logits = head(torch.randn(2, 2, 3), mask)["units"]
    assert logits[0].tolist() == 2 * [[0, 1], [2, 3]]
    assert logits[1].tolist() == [[0, 1], [2, 3], [0, 0], [0, 0]]


def test_a_stream_of_another_name():
    head = UnitsHead(3, unit_targets("phones"), stream="phones")
    assert head.outputs == ("phones",)
    assert head(torch.randn(1, 4, 3), torch.ones(1, 4, dtype=torch.bool)).keys() == {"phones"}


def test_a_target_that_is_missing_or_has_no_units_is_named():
    with pytest.raises(UserError, match=r"no target 'units'.*add targets: \{units: \{type: units\}\}"):
        UnitsHead(3, {})
    with pytest.raises(UserError, match="target 'f0' has no units"):
        UnitsHead(3, {"f0": nn.Identity()}, stream="f0")
    with pytest.raises(UserError, match="units: input of shape"):
        UnitsHead(3, unit_targets())(torch.randn(1, 4, 5), torch.ones(1, 4, dtype=torch.bool))
