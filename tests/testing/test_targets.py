"""Targets and tokenizers: the checks accept good ones and refuse the others."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from tests.open_components import Loudness, MelMean
from tests.test_testing import own_loss_batch
from v2skit import testing
from v2skit.config.features import Clock, Mel
from v2skit.testing.components import check_contract
from v2skit.text.alphabet import Alphabet

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


class Level:
    """Level of each video frame, (T,)."""

    rate, dtype = "frame", "float32"

    def compute(self, waveform, text):
        return np.abs(waveform.reshape(-1, CLOCK.samples_per_frame)).max(axis=1)


class RelativeToTheLoudest(Level):
    largest = 1e-5

    def compute(self, waveform, text):
        self.largest = max(self.largest, np.abs(waveform).max())
        return super().compute(waveform, text) / self.largest


class CountsWords(Level):
    def compute(self, waveform, text):
        return super().compute(waveform, text) + len(text.split())


class EmptyWithoutText(Level):
    def compute(self, waveform, text):
        return super().compute(waveform, text)[: None if text else 0]


@pytest.mark.parametrize(
    "bad, message",
    [
        (RelativeToTheLoudest, "the values depend on what was computed before"),
        (CountsWords, r"without text, text=None, is an error \(AttributeError"),
        (EmptyWithoutText, "its values are not as many as with text"),
    ],
)
def test_stored_targets(bad, message):
    waveform = np.random.default_rng(0).uniform(-0.3, 0.3, 4 * CLOCK.samples_per_frame).astype(np.float32)
    testing.check_target(Level(), waveform, 4, "bin blue")
    with pytest.raises(AssertionError, match=message):
        testing.check_target(bad(), waveform, 4, "bin blue")


class EnglishLetters(Alphabet):
    def split(self, text):
        return list(" ".join(re.findall("[a-z]+", text.lower())))


def test_tokenizers_keep_the_letters_of_every_script(tmp_path):
    with pytest.raises(AssertionError, match="has no tokens; letters of every script are to be kept"):
        check_contract("tokenizer", EnglishLetters, tmp_path)
