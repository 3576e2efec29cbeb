"""Losses have the values of their formulas, and padding does not enter."""

from typing import Annotated

import pytest
import torch
from torch import nn

from v2skit.config.features import Mel
from v2skit.config.load import check_config, load_config, to_tree
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.l1 import L1
from v2skit.losses.spectral_convergence import SpectralConvergence
from v2skit.losses.total import Losses
from v2skit.models.output import Output
from v2skit.registry.component import Component

MEL = Mel()


def example(padding: float = 0.0):
    mask = torch.tensor([[True, True], [True, False]])
    target, predicted = torch.full((2, 8, 80), 2.0), torch.full((2, 8, 80), 3.0)
    predicted[1, 4:] = target[1, 4:] = padding
    predicted[1, 4:] += padding
    return Output(mel=predicted), Batch(["a", "b"], mask, torch.zeros(2, 0), torch.zeros(2, 1920), mel=target)


@pytest.mark.parametrize("padding", [0.0, 100.0])
def test_values_do_not_depend_on_padding(padding):
    assert L1(MEL)(*example(padding))["l1"].item() == pytest.approx(1.0)
    assert SpectralConvergence(MEL)(*example(padding))["spectral_convergence"].item() == pytest.approx(0.5)


@pytest.mark.parametrize("padding", [0.0, 100.0])
def test_standardised_per_bin(padding):
    """The target is 2 and the output 3 everywhere; a bin's deviation is 0.5 or 4, its mean 1."""
    std = torch.tensor([0.5, 4.0]).repeat(MEL.n_mels // 2)
    want = {"l1": (2 + 0.25) / 2, "spectral_convergence": 1.0}  # target and difference are both 1 / deviation
    for term in (L1(MEL, standardise=True), SpectralConvergence(MEL, standardise=True)):
        term.standard.mean.fill_(1.0)
        term.standard.std.copy_(std)
        ((name, value),) = term(*example(padding)).items()
        assert value.item() == pytest.approx(want[name])


def test_total_is_the_weighted_sum(tiny):
    losses = Losses(load_config(tiny, ["losses.l1.weight=3"]))
    total, values = losses(*example())
    assert total.item() == pytest.approx(3 * 1.0 + 0.5)
    assert set(values) == {"l1", "spectral_convergence"}


def test_the_state_has_the_statistics_of_the_terms_that_have_some(tiny):
    config = load_config(tiny)
    losses = Losses(config)
    for name in ("l1", "spectral_convergence"):
        losses.terms[name].standard.std.fill_(3.0)
    again = Losses(config)
    again.load_state(losses.state())
    assert (again.terms["l1"].standard.std == 3).all() and (again.terms["spectral_convergence"].standard.std == 3).all()
    with pytest.raises(UserError, match="loss 'l1': the checkpoint's discriminators or statistics do not fit"):
        again.load_state({})
    plain = Losses(load_config(tiny, [f"losses.{name}.standardise=false" for name in losses.terms]))
    assert plain.state() == {}


class Frozen(nn.Module):
    def __init__(self, digest: str = "one") -> None:
        super().__init__()
        self.digest = digest

    def forward(self, waveform: torch.Tensor) -> list[torch.Tensor]:
        return [waveform[..., None]]


class OfSeveral(nn.Module):
    """A loss with a list of extractors."""

    input = "waveform"

    def __init__(self, extractors: list[Annotated[Component, "extractor"]]) -> None:
        super().__init__()
        self.extractors = nn.ModuleList(extractors)

    def forward(self, output: Output, batch: Batch) -> dict[str, torch.Tensor]:
        return {"of_several": torch.zeros(())}


def test_digests_are_those_of_all_components_in_a_term(tiny):
    frozen = f"{{type: '{__name__}:Frozen', digest: DIGEST}}"
    extractors = ", ".join(frozen.replace("DIGEST", name) for name in ("a", "b", "a"))
    term = f"losses.several={{type: '{__name__}:OfSeveral', weight: 1, extractors: [{extractors}]}}"
    assert Losses(load_config(tiny, [term])).digests() == {"several": "a b"}
    changed = load_config(tiny, [term, "losses.several.extractors.1.digest=c"])
    assert Losses(changed).digests() == {"several": "a c"}
    assert to_tree(check_config(to_tree(changed))) == to_tree(changed)
