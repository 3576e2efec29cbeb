"""The moving average starts from the initial weights, and does not average constants."""

import torch
from torch import nn

from v2skit.config.schema import Training
from v2skit.training.accumulation import Statistics
from v2skit.training.distributed import Processes
from v2skit.training.optimiser import Average


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.norm = nn.BatchNorm1d(2)
        self.register_buffer("mask", torch.full((2,), -torch.inf), persistent=False)


def test_average_of_weights_and_statistics():
    model = Small()
    average = Average(model, decay=0.5)
    with torch.no_grad():
        model.weight.fill_(1.0)
        model.norm.running_mean.fill_(2.0)
        model.norm.num_batches_tracked.fill_(7)
    average.update(model, step=1)
    assert torch.allclose(average.model.weight, torch.full((2,), 1 - 2 / 11))  # (1 + step) / (10 + step)
    assert torch.allclose(average.model.norm.running_mean, torch.full((2,), 2 * (1 - 2 / 11)))
    average.update(model, step=1000)
    assert torch.allclose(average.model.weight, torch.full((2,), 1 - 1 / 11))
    assert average.model.norm.num_batches_tracked == 7 and not average.model.training
    assert average.model.mask.isneginf().all() and average.state.keys() == model.state_dict().keys()


def test_a_constant_that_is_saved_stays_as_it_is():
    model = Small()
    model.register_buffer("causal", torch.tensor([0.5, -torch.inf]))
    model.register_buffer("used", torch.tensor([True, False]))
    average, statistics = Average(model, decay=0.5), Statistics(model, Processes(), 2)
    statistics.begin()
    for shift in (0.0, 2.0):
        with statistics.batch():
            model.norm(torch.randn(4, 2) + shift)
    statistics.finish()
    average.update(model, step=1000)
    for state in (model.state_dict(), average.state):
        assert torch.equal(state["causal"], torch.tensor([0.5, -torch.inf]))
        assert torch.equal(state["used"], torch.tensor([True, False]))
    assert model.norm.num_batches_tracked == 2 and model.norm.running_mean.abs().sum() > 0


def test_by_default_the_memory_grows_with_the_run():
    model = Small()
    average = Average(model, Training().ema_decay)
    with torch.no_grad():
        model.weight.fill_(1.0)
    for step, memory in ((90, 100 / 9), (4491, 500.1), (100_000, 1000)):  # steps
        average.state["weight"].zero_()
        average.update(model, step)
        assert torch.allclose(average.model.weight, torch.full((2,), 1 / memory), rtol=1e-3)
