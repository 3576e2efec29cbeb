"""Checked settings -> built objects: children first, each asked for its dimensions."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from v2skit import plugins
from v2skit.errors import UserError
from v2skit.model import Model
from v2skit.registry import construct
from v2skit.settings import Component, Config

TASKS = {"a2a": "audio_frontend", "v2a": "visual_frontend"}
"""A2A is pre-training, V2A is video-to-speech; they differ in the frontend alone."""


def build(kind: str, choice: Component, **given: Any) -> Any:
    """The component that a config chose. Raises UserError, naming it, where its arguments do not go together."""
    component = plugins.registry().entry(kind, choice.type).load()
    try:
        return construct(kind, component, choice.args, **given)
    except UserError as error:
        raise UserError(f"{kind} '{choice.type}': {error}") from error


def build_model(config: Config, task: str, speakers: list[str]) -> Model:
    """A2A or V2A (``task`` is a key of TASKS), with weights drawn from ``config.seed``. Raises UserError."""
    torch.manual_seed(config.seed)
    networks, given = config.networks, {"clock": config.clock, "mel": config.mel}
    speaker = build("speaker", networks.speaker, speakers=speakers)
    frontend = build(TASKS[task], getattr(networks, TASKS[task]), **given)
    encoder = build("encoder", networks.encoder, in_dim=frontend.out_dim + speaker.out_dim)
    decoder = build("decoder", networks.decoder, in_dim=encoder.out_dim, **given)
    return Model(frontend, speaker, encoder, decoder)


def build_vocoder(config: Config) -> nn.Module:
    """The vocoder, in evaluation mode."""
    return build("vocoder", config.vocoder, clock=config.clock, mel=config.mel).eval()


class Losses(nn.Module):
    """The weighted terms of a config; the trainer knows only their sum and their values."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.terms = nn.ModuleDict(
            {n: build("loss", term, clock=config.clock, mel=config.mel) for n, term in config.losses.items()}
        )
        self.weights = {name: term.weight for name, term in config.losses.items()}

    def forward(self, output: Any, batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """(output, batch) -> (weighted total, every value a term gave, by name)."""
        total, values = torch.zeros((), device=batch.mask.device), {}
        for name, term in self.terms.items():
            for key, value in term(output, batch).items():
                label = name if key == name else f"{name}/{key}"
                total, values[label] = total + self.weights[name] * value, value.detach()
        return total, values
