"""Names of arguments among the attributes of a component are checked when it is built."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from v2skit.config.features import Clock, Mel
from v2skit.config.load import check_component
from v2skit.errors import UserError
from v2skit.registry.build import build


class Sampler(nn.Module):
    output = "waveform"
    inference_arguments: Any = ("seed",)

    def __init__(self, in_dim: int, seed: int = 0, dropout: float = 0.1) -> None:
        super().__init__()
        self.seed = seed


class Text(Sampler):
    inference_arguments = "seed"


class Misspelt(Sampler):
    inference_arguments = ("seeds",)


class Given(Sampler):
    inference_arguments = ("in_dim",)


class NoAttribute(Sampler):
    inference_arguments = ("dropout",)


class Training(Sampler):
    training_arguments = ("dropuot",)


class Dropped(Sampler):
    training_arguments = ("dropout",)


class Inherits(Dropped):
    def __init__(self, in_dim: int, seed: int = 0) -> None:
        super().__init__(in_dim, seed, 0.0)


def made(name: str) -> Any:
    choice = check_component("decoder", {"type": f"{__name__}:{name}"}, "here")
    return build("decoder", choice, in_dim=3, step=960, clock=Clock(), mel=Mel())


@pytest.mark.parametrize("name", ["Sampler", "Dropped", "Inherits"])
def test_arguments_that_may_change_are_those_of_the_constructor(name):
    assert isinstance(made(name), torch.nn.Module)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Text", r"must have the attribute inference_arguments = a tuple of names, not 'seed'"),
        ("Misspelt", r"names 'seeds' in inference_arguments, but .* no such argument .*; did you mean 'seed'"),
        ("Given", r"names 'in_dim' in inference_arguments, but .* that a config may set; known: dropout, seed"),
        ("NoAttribute", r"names 'dropout' in inference_arguments; let its constructor set self.dropout too"),
        ("Training", r"names 'dropuot' in training_arguments, but .*; did you mean 'dropout'"),
    ],
)
def test_others_are_an_error_before_the_training(name, message):
    with pytest.raises(UserError, match=rf"^decoder '{__name__}:{name}' \(from .*\) {message}"):
        made(name)
