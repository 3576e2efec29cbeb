"""The loss of F0 and voicing has the values of its formula."""

import math

import pytest
import torch

from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.f0 import F0Loss
from v2skit.models.output import Output
from v2skit.testing import check_loss

MASK = torch.tensor([[True, True], [True, False]])


def batch(f0):
    mel, waveform = torch.zeros(2, 4, 80), torch.zeros(2, 1920)
    return Batch(["a", "b"], MASK, torch.zeros(2, 0), waveform, mel=mel, extras={"f0": torch.tensor(f0)})


def output(f0=200.0, logit=0.0):
    return Output.of({"f0": torch.full((2, 4), f0), "voicing": torch.full((2, 4), logit)})


SPEECH = [[0.0, 100.0, 100.0, 0.0], [400.0, 0.0, 0.0, 0.0]]


def test_the_values_are_those_of_the_formula():
    values = F0Loss()(output(), batch(SPEECH))
    assert values["f0"].item() == pytest.approx(math.log(2))  # an octave up, up and down
    assert values["voicing"].item() == pytest.approx(math.log(2))
    sure = F0Loss(voicing_weight=3.0)(output(logit=2.0), batch(SPEECH))["voicing"].item()
    right, wrong = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    assert sure == pytest.approx(3 * (3 * right + 3 * wrong) / 6, rel=1e-5)


def test_padding_does_not_enter():
    filled = [[0.0, 100.0, 100.0, 0.0], [400.0, 0.0, 999.0, 999.0]]
    for name, value in F0Loss()(output(), batch(SPEECH)).items():
        assert F0Loss()(output(), batch(filled))[name] == value


def test_a_batch_without_voice_trains_voicing_alone():
    silent = output()
    f0 = silent.extras["f0"].requires_grad_()
    values = F0Loss()(silent, batch([[0.0] * 4] * 2))
    sum(values.values()).backward()
    assert values["f0"].item() == 0 and not f0.grad.any() and values["voicing"].isfinite()


def test_it_keeps_its_contract():
    check_loss(F0Loss(), output(), batch(SPEECH))


def test_what_is_missing_is_named():
    with pytest.raises(UserError, match="no stream 'f0' in a batch"):
        F0Loss()(output(), Batch(["a", "b"], MASK, torch.zeros(2, 0), torch.zeros(2, 1920)))
    with pytest.raises(UserError, match="the model outputs no stream 'f0'"):
        F0Loss()(Output(waveform=torch.zeros(2, 1920)), batch(SPEECH))
