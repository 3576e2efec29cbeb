"""frontend -> (speaker) -> encoder -> decoder: one model for audio-to-audio (A2A) and video-to-audio (V2A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from v2skit.data.batch import Inputs
from v2skit.models.layers.dual_norm import set_modality

Part = Any
"""A built component: an ``nn.Module`` with the attributes of its kind, which :mod:`v2skit.testing` checks; untyped."""


@dataclass(frozen=True)
class Output:
    """Output of a decoder: mel (B,F,M) or waveform (B,N); the other is None."""

    mel: Tensor | None = None
    waveform: Tensor | None = None

    def detached(self) -> Output:
        """The same values, detached from the graph."""
        return Output(**{name: value.detach() for name, value in vars(self).items() if value is not None})


class Model(nn.Module):
    """Frontend, speaker embedding, encoder and decoder in sequence. ``input`` is the frontend's input (``video``,
    ``mel`` or ``waveform``), ``output`` the decoder's output (``mel`` or ``waveform``). Dual batch normalisation in
    encoder and decoder uses the statistics of the frontend's modality. A ``bottleneck`` is applied to the frontend's
    features, (B,T,D) -> (B,T,D)."""

    frontend: Part
    speaker: Part
    encoder: Part
    decoder: Part

    def __init__(
        self, frontend: Part, speaker: Part, encoder: Part, decoder: Part, bottleneck: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.frontend, self.speaker, self.encoder, self.decoder = frontend, speaker, encoder, decoder
        self.bottleneck = bottleneck
        self.input: str = frontend.input
        self.output: str = decoder.output
        for part in (encoder, decoder):
            set_modality(part, "video" if self.input == "video" else "audio")

    def forward(self, inputs: Inputs) -> Output:
        """Mouth crops or audio of a batch -> its mel (B,F,M) or waveform (B,N), zero beyond the mask."""
        x = self.frontend(inputs.signal, inputs.mask)  # (B, T, D)
        x = self.encode(x, inputs.speaker, inputs.mask)
        return Output(**{self.output: self.decoder(x, inputs.mask)})

    def encode(self, x: Tensor, speaker: Tensor, mask: Tensor) -> Tensor:
        """Features of the frontend (B,T,D) and input of the speaker component (B,...) -> (B,T,E)."""
        return self.encoder(self.condition(x, speaker), mask)

    def condition(self, x: Tensor, speaker: Tensor) -> Tensor:
        """Append the speaker embedding to each frame: features (B,T,D), speaker input (B,...) -> (B,T,D+S)."""
        x = x if self.bottleneck is None else self.bottleneck(x)
        embedding = self.speaker(speaker).to(x.dtype)  # (B, S)
        return torch.cat([x, embedding[:, None].expand(-1, x.shape[1], -1)], dim=-1)


@dataclass(frozen=True)
class _Outside:
    """Modules that another one uses but does not contain: they are not in its weights, optimisers, modes and copies."""

    speaker: Part
    predictor: Model | None

    def __deepcopy__(self, memo: dict) -> _Outside:
        return self


class Vocoder(nn.Module):
    """A generator as a vocoder, and as a model that can be trained: mel, normalised per bin -> waveform.

    Args:
        generator: (B,F,M), mask (B,F) -> (B, F * hop).
        n_mels: M.
        speaker: the predictor's, or one without input.
        predictor: a trained V2A model: the vocoder is then trained on its predicted mels, and has its inputs. Its
            weights are not among those of this module.
    """

    output = "waveform"
    mean: Tensor
    std: Tensor

    def __init__(self, generator: Part, n_mels: int, speaker: Part, predictor: Model | None = None) -> None:
        super().__init__()
        self.generator = generator
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("std", torch.ones(n_mels))
        self.input: str = predictor.input if predictor else "mel"
        self._outside = _Outside(speaker, predictor)

    @property
    def speaker(self) -> Part:
        """The speaker embedding of the predictor; it is not trained with the vocoder."""
        return self._outside.speaker

    def generate(self, mel: Tensor, mask: Tensor | None = None) -> Tensor:
        """Log mel (B,F,M) -> waveform (B, F * hop), zero where the mask (B,F) is False."""
        return self.generator((mel - self.mean) / self.std, mask)

    def forward(self, inputs: Inputs) -> Output:
        """The batch's mel, or the mel that the predictor predicts -> waveform (B,N)."""
        mel, predictor = inputs.signal, self._outside.predictor
        if predictor is not None:
            with torch.no_grad():
                mel = predictor(inputs).mel
        mask = inputs.mask.repeat_interleave(mel.shape[1] // inputs.mask.shape[1], dim=1)
        return Output(waveform=self.generate(mel, mask))
