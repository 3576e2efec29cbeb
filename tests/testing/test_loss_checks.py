"""Decoders' own losses and extractors: the checks accept good ones and refuse the others."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.open_components import NoisyMel
from tests.test_testing import own_loss_batch
from v2skit import testing
from v2skit.config.features import Clock, Mel

CLOCK, MEL = Clock(), Mel()


class OwnGenerator(NoisyMel):
    def training_loss(self, x, mask, batch):
        return {"l2": super().training_loss(x, mask, batch)["l2"] * np.random.default_rng().random()}


class CountsPadding(NoisyMel):
    def training_loss(self, x, mask, batch):
        return {"l2": super().training_loss(x, mask, batch)["l2"] + batch.stream("mel").mean()}


@pytest.mark.parametrize(
    "bad, message", [(OwnGenerator, "the same seed gives another value"), (CountsPadding, "the padding changes it")]
)
def test_an_own_loss_depends_on_seed_and_valid_frames_only(bad, message):
    with pytest.raises(AssertionError, match=message):
        testing.check_training_loss(bad(8, CLOCK, MEL), 8, own_loss_batch(CLOCK, MEL))


class Features(nn.Module):
    digest = "0123"

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 400, 320)

    def forward(self, waveform):
        return [self.conv(waveform[:, None]).transpose(1, 2).tanh()]


class WithoutDigest(Features):
    digest = ""


class OfTheBatch(Features):
    def forward(self, waveform):
        return super().forward(waveform - waveform.mean())


class Detached(Features):
    def forward(self, waveform):
        return [layer + 0 * waveform.sum() for layer in super().forward(waveform.detach())]


@pytest.mark.parametrize(
    "bad, message",
    [
        (WithoutDigest, "digest identifies the weights"),
        (OfTheBatch, "depend on their batch|of a clip depend on its batch"),
        (Detached, "no gradient reaches the waveform"),
    ],
)
def test_extractors(bad, message):
    torch.manual_seed(0)
    testing.check_extractor(Features())
    with pytest.raises(AssertionError, match=message):
        testing.check_extractor(bad())
