"""The check of torch.export: for clips of any length."""

import pytest
import torch
from torch import nn

from v2skit.testing.modules import check_export


class Smoothed(nn.Module):
    """The mean of each frame and all before it, (B, T, D)."""

    def forward(self, x, mask):
        return (x * mask[..., None]).cumsum(1) / mask.cumsum(1)[..., None]


class LoopOverFrames(Smoothed):
    def forward(self, x, mask):
        state, found = x[:, 0], []
        for frame in range(x.shape[1]):
            state = 0.5 * state + 0.5 * x[:, frame]
            found.append(state)
        return torch.stack(found, 1)


class LengthOfTheExample(Smoothed):
    """What is exported has the length of the example as a constant."""

    def forward(self, x, mask):
        return super().forward(x, mask) + (8 if torch.compiler.is_exporting() else x.shape[1])


class KnownObstacle(LoopOverFrames):
    export_obstacle = "it loops over frames"


def inputs():
    torch.manual_seed(0)
    return torch.randn(2, 8, 3), torch.ones(2, 8, dtype=torch.bool)


def test_networks_are_exported_for_any_length_or_say_why_not():
    check_export(Smoothed(), *inputs())
    check_export(KnownObstacle(), *inputs())
    with pytest.raises(AssertionError, match="torch exports it for clips of one length only"):
        check_export(LoopOverFrames(), *inputs())


def test_the_exported_program_is_compared_at_another_length():
    with pytest.raises(AssertionError, match="the exported program gives another output"):
        check_export(LengthOfTheExample(), *inputs())
