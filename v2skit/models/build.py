"""Checked settings -> built objects: children first, dimensions from the objects before them."""

from __future__ import annotations

from typing import Any, TypeVar

import torch
from torch import nn

from v2skit.config.schema import Config
from v2skit.errors import UserError
from v2skit.models.layers.dual_norm import with_dual_norm
from v2skit.models.model import Model, Vocoder
from v2skit.registry.build import build
from v2skit.registry.component import Component

Module = TypeVar("Module", bound=nn.Module)

FRONTENDS = {"a2a": "audio_frontend", "v2a": "visual_frontend"}
"""A2A is pre-training, V2A is video-to-speech; they differ only in the frontend. A third task is ``vocoder``."""


def build_model(config: Config, task: str, speakers: list[str]) -> Model:
    """A2A or V2A (``task`` is a key of FRONTENDS), with weights drawn from ``config.seed``. Raises UserError."""
    torch.manual_seed(config.seed)
    networks, given = config.networks, {"clock": config.clock, "mel": config.mel}
    speaker = build("speaker", networks.speaker, speakers=speakers)
    frontend = build(FRONTENDS[task], getattr(networks, FRONTENDS[task]), **given)
    encoder = build("encoder", networks.encoder, in_dim=frontend.out_dim + speaker.out_dim)
    decoder = build("decoder", networks.decoder, in_dim=encoder.out_dim, step=config.clock.samples_per_frame, **given)
    if networks.bn == "dual":
        encoder, decoder = with_dual_norm(encoder), with_dual_norm(decoder)
    return Model(frontend, speaker, encoder, decoder, _bottleneck(config, task, frontend.out_dim))


def _bottleneck(config: Config, task: str, dim: int) -> nn.Module | None:
    """The bottleneck of pre-training. Without biases, so that padding stays zero."""
    corruption = config.pretrain.corruption
    if task != "a2a" or corruption is None or corruption.bottleneck_dim is None:
        return None
    narrow = corruption.bottleneck_dim
    return nn.Sequential(nn.Linear(dim, narrow, bias=False), nn.Linear(narrow, dim, bias=False))


def build_new_vocoder(config: Config, predictor: Model | None = None) -> Vocoder:
    """The config's vocoder with initial weights drawn from ``config.seed``.

    Raises:
        UserError: it has no weights, or they are already trained.
    """
    torch.manual_seed(config.seed)
    generator = _vocoder(config)
    if hasattr(generator, "digest"):
        raise UserError(f"vocoder '{config.vocoder.type}' is trained already; name the generator to train, e.g. istft")
    if not list(generator.parameters()):
        raise UserError(f"vocoder '{config.vocoder.type}' has no weights to train; choose istft, hifigan or wavegan")
    speaker = predictor.speaker if predictor else build("speaker", Component("none", {}), speakers=[])
    return Vocoder(generator, config.mel.n_mels, speaker, predictor)


def build_vocoder(config: Config) -> nn.Module:
    """The vocoder, in evaluation mode. Raises UserError where it has untrained weights."""
    vocoder = _vocoder(config)
    if list(vocoder.parameters()) and not hasattr(vocoder, "digest"):
        raise UserError(
            f"vocoder '{config.vocoder.type}' must be trained first, as conf/vocoder_istft.yaml does; then choose it "
            "with vocoder: {type: trained, run: exp/vocoder_istft/pretrain}"
        )
    return for_inference(vocoder)


def for_inference(module: Module) -> Module:
    """In evaluation mode, with weight normalisation folded into the weights where a part supports it (``fold``)."""
    parts: list[Any] = list(module.modules())
    for part in parts:
        if hasattr(part, "fold"):
            part.fold()
    return module.eval()


def _vocoder(config: Config) -> nn.Module:
    mel = config.mel
    return build("vocoder", config.vocoder, in_dim=mel.n_mels, step=mel.hop, clock=config.clock, mel=mel)
