"""Losses have the values of their formulas, and padding does not enter."""

import pytest
import torch

from v2skit.config.load import load_config
from v2skit.data.batch import Batch
from v2skit.losses.l1 import L1
from v2skit.losses.spectral_convergence import SpectralConvergence
from v2skit.losses.total import Losses
from v2skit.models.output import Output


def example(padding: float = 0.0):
    mask = torch.tensor([[True, True], [True, False]])
    target, predicted = torch.full((2, 8, 80), 2.0), torch.full((2, 8, 80), 3.0)
    predicted[1, 4:] = target[1, 4:] = padding
    predicted[1, 4:] += padding
    return Output(mel=predicted), Batch(["a", "b"], mask, torch.zeros(2, 0), torch.zeros(2, 1920), mel=target)


@pytest.mark.parametrize("padding", [0.0, 100.0])
def test_values_do_not_depend_on_padding(padding):
    assert L1()(*example(padding))["l1"].item() == pytest.approx(1.0)
    assert SpectralConvergence()(*example(padding))["spectral_convergence"].item() == pytest.approx(0.5)


def test_total_is_the_weighted_sum(tiny):
    losses = Losses(load_config(tiny, ["losses.l1.weight=3"]))
    total, values = losses(*example())
    assert total.item() == pytest.approx(3 * 1.0 + 0.5)
    assert set(values) == {"l1", "spectral_convergence"}
