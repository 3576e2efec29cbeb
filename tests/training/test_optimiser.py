"""Which parameters weight decay applies to."""

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from v2skit.config.load import load_config
from v2skit.config.schema import Training
from v2skit.errors import UserError
from v2skit.models.build import build_model
from v2skit.training.optimiser import Optimiser, decayed_parameters


def names_of(part: nn.Module) -> set[str]:
    decayed = {id(p) for p in decayed_parameters(part)}
    return {name for name, parameter in part.named_parameters() if id(parameter) in decayed}


class Attention(nn.Module):
    """A plug-in's module with biases for each head, (H,1,D), and a temperature, ()."""

    def __init__(self):
        super().__init__()
        self.content_bias = nn.Parameter(torch.zeros(2, 1, 4))
        self.temperature = nn.Parameter(torch.ones(()))
        self.scale = nn.Parameter(torch.ones(8))
        self.query = nn.Linear(8, 8)


@pytest.mark.parametrize(
    ("part", "decayed"),
    [
        (nn.Linear(3, 4), {"weight"}),
        (nn.Conv2d(3, 4, 3), {"weight"}),
        (nn.Embedding(5, 4), set()),
        (nn.LayerNorm((3, 4)), set()),
        (nn.BatchNorm1d(4), set()),
        (nn.GRU(3, 4), {"weight_ih_l0", "weight_hh_l0"}),
        (nn.MultiheadAttention(4, 2, add_bias_kv=True), {"in_proj_weight", "out_proj.weight"}),
        (weight_norm(nn.Conv1d(3, 4, 3)), {"parametrizations.weight.original1"}),
        (Attention(), {"query.weight"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_matrices_and_kernels_alone_decay(part, decayed):
    assert names_of(part) == decayed


def test_weights_with_two_names_are_refused():
    model = nn.ModuleDict({"first": nn.Linear(2, 2), "second": nn.Linear(2, 2)})
    model["second"].weight = model["first"].weight
    with pytest.raises(UserError, match=r"^the weights first\.weight and second\.weight are one parameter"):
        Optimiser(model, Training(), {})


def test_neither_the_speaker_table_nor_the_biases_of_the_attention_decay(tiny):
    model = build_model(load_config(tiny), "a2a", ["a", "b"])
    optimiser = Optimiser(model, Training(learning_rate=0.1, warmup_share=0.0, weight_decay=0.5, steps=10), {})
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    optimiser.start(0)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)  # what changes then is the decay
    optimiser.finish()
    ratios = {n: (p.detach().norm() / before[n].norm()).item() for n, p in model.named_parameters() if before[n].any()}
    kept = {name for name, ratio in ratios.items() if ratio == pytest.approx(1.0)}
    decayed = {name for name, ratio in ratios.items() if ratio == pytest.approx(1 - 0.1 * 0.5)}
    assert kept | decayed == ratios.keys()
    assert "speaker.table.weight" in kept and "decoder.linear.weight" in decayed
    assert not any("content_bias" in name or "position_bias" in name for name in names_of(model))
    assert sum(p.numel() for g in optimiser.adamw.param_groups for p in g["params"]) == sum(
        p.numel() for p in model.parameters()
    )
