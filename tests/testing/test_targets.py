"""Targets on the device: the check accepts good ones and refuses the others."""

import pytest
import torch
from torch import nn

from tests.open_components import Loudness, MelMean
from tests.test_testing import own_loss_batch
from v2skit import testing
from v2skit.config.features import Clock, Mel

CLOCK, MEL = Clock(), Mel()


class OfThePadding(MelMean):
    def forward(self, batch):
        return super().forward(batch) - batch.mel.mean(dim=(1, 2))[:, None]


class OfTheBatch(MelMean):
    def forward(self, batch):
        return super().forward(batch) + len(batch.ids)


class WrongRate(MelMean):
    def forward(self, batch):
        return super().forward(batch)[:, ::2]


class OpenSequence(nn.Module):
    rate = "sequence"

    def forward(self, batch):
        return torch.tensor([[1, 2, 3], [-1, -1, 4]])


@pytest.mark.parametrize(
    "bad, message",
    [
        (OfThePadding, "values depend on the padding"),
        (OfTheBatch, "values of a clip depend on its batch"),
        (WrongRate, "12 values, not 24|is not"),
        (OpenSequence, "after their end"),
    ],
)
def test_targets_on_the_device(bad, message):
    batch = own_loss_batch(CLOCK, MEL)
    testing.check_device_target(MelMean(), batch)
    with pytest.raises(AssertionError, match=message):
        testing.check_device_target(bad(), batch)


def test_the_check_of_a_stored_target_names_that_of_one_on_the_device():
    with pytest.raises(AssertionError, match=r"is checked by check_device_target\(\)"):
        testing.check_target(MelMean(), None, 1, None)
    assert hasattr(Loudness, "compute")
