"""Losses, decoders' own losses and extractors: the checks accept good ones and refuse the others."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.open_components import NoisyMel
from tests.test_testing import own_loss_batch
from v2skit import testing
from v2skit.config.features import Clock, Mel
from v2skit.testing import examples

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


class Squared(nn.Module):
    """Squared error of the mel, over the valid frames."""

    input = "mel"

    def forward(self, output, batch):
        return {"squared": self.error(output.mel.float(), batch.mel)[batch.mel_mask()].square().mean()}

    def error(self, predicted, target):
        return predicted - target


class MeanOfMasked(Squared):
    def forward(self, output, batch):
        difference = self.error(output.mel.float(), batch.mel).masked_fill(~batch.mel_mask()[..., None], 0)
        return {"squared": difference.square().mean()}


class MeanOfSamples(nn.Module):
    input = "waveform"

    def forward(self, output, batch):
        return {"absolute": (output.waveform.float() - batch.waveform).abs().mean()}


class OwnLayer(Squared):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(MEL.n_mels, MEL.n_mels)

    def error(self, predicted, target):
        return self.layer(predicted) - target


class RelativeToTheLargest(Squared):
    largest = 0.0

    def error(self, predicted, target):
        self.largest = max(self.largest, predicted.abs().max().item())
        return (predicted - target) / self.largest


class OnlyFloat32(Squared):
    def forward(self, output, batch):
        spectra = [torch.fft.rfft(mel[batch.mel_mask()]) for mel in (output.mel, batch.mel)]
        return {"squared": (spectra[0] - spectra[1]).abs().mean()}


class WithNoise(Squared):
    """Draws other numbers where there is more padding, as it may."""

    def error(self, predicted, target):
        return predicted + 0.1 * torch.randn_like(predicted) - target


def test_losses():
    batch = examples.batch()
    for good in (Squared, WithNoise):
        testing.check_loss(good(), examples.output(batch), batch)


@pytest.mark.parametrize(
    "bad, message",
    [
        (MeanOfMasked, "squared: more padding changes it"),
        (MeanOfSamples, "absolute: more padding changes it"),
        (OwnLayer, "nothing trains layer.weight, layer.bias"),
        (RelativeToTheLargest, "squared: a call with another batch in between changes it"),
        (OnlyFloat32, "BFloat16"),
    ],
)
def test_losses_that_break_their_contract(bad, message):
    batch = examples.batch()
    with pytest.raises((AssertionError, RuntimeError), match=message):
        testing.check_loss(bad(), examples.output(batch), batch)


class Discriminator(nn.Module):
    """The loss of a discriminator, of which one weight is not used."""

    input = "waveform"

    def __init__(self):
        super().__init__()
        self.scale, self.unused = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(()))

    def forward(self, output, batch):
        return {"fooled": (self.scale.detach() * output.waveform.float()).square().mean()}

    def discriminator_backward(self, output, batch):
        (self.scale * (output.waveform - batch.waveform)).square().mean().backward()

    def discriminator_update(self):
        self.zero_grad()


def test_an_unused_weight_of_a_discriminator_is_found():
    batch = examples.batch()
    with pytest.raises(AssertionError, match="no gradient reaches unused"):
        testing.check_loss(Discriminator(), examples.output(batch), batch)
