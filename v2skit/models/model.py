"""frontend -> (speaker) -> encoder -> decoder: one model for audio-to-audio (A2A) and video-to-audio (V2A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from v2skit.data.batch import Inputs
from v2skit.models.layers.dual_norm import set_modality

Part = Any
"""A built component: an ``nn.Module`` with what its kind asks for, which :mod:`v2skit.testing` checks, and no type."""


@dataclass(frozen=True)
class Output:
    """What a decoder gives: mel (B,F,M) or waveform (B,N); the other is None."""

    mel: Tensor | None = None
    waveform: Tensor | None = None

    def detached(self) -> Output:
        """The same values without the graph behind them."""
        return Output(**{name: value.detach() for name, value in vars(self).items() if value is not None})


class Model(nn.Module):
    """Built parts in a row. ``gives`` is the decoder's: ``mel`` or ``waveform``. Dual batch normalisation behind the
    frontend uses the statistics of what the frontend takes."""

    frontend: Part
    speaker: Part
    encoder: Part
    decoder: Part

    def __init__(self, frontend: Part, speaker: Part, encoder: Part, decoder: Part) -> None:
        super().__init__()
        self.frontend, self.speaker, self.encoder, self.decoder = frontend, speaker, encoder, decoder
        self.input: str = frontend.input
        self.output: str = decoder.output
        for part in (encoder, decoder):
            set_modality(part, "video" if self.input == "video" else "audio")

    def forward(self, inputs: Inputs) -> Output:
        """Mouth crops or audio of a batch -> its mel or waveform, zero beyond the mask."""
        x = self.frontend(inputs.signal, inputs.mask)  # (B, T, D)
        x = self.encode(x, inputs.speaker, inputs.mask)
        return Output(**{self.output: self.decoder(x, inputs.mask)})

    def encode(self, x: Tensor, speaker: Tensor, mask: Tensor) -> Tensor:
        """Features of the frontend (B,T,D) and what the speaker's reader gives, (B,...) -> (B,T,E)."""
        return self.encoder(self.tell(x, speaker), mask)

    def tell(self, x: Tensor, speaker: Tensor) -> Tensor:
        """Features of the frontend (B,T,D) and what the speaker's reader gives, (B,...) -> (B,T,D+S)."""
        embedding = self.speaker(speaker).to(x.dtype)  # (B, S)
        return torch.cat([x, embedding[:, None].expand(-1, x.shape[1], -1)], dim=-1)


@dataclass(frozen=True)
class _Outside:
    """Modules that another uses but that are no part of it: not of its weights, optimisers, modes and copies."""

    speaker: Part
    predictor: Model | None

    def __deepcopy__(self, memo: dict) -> _Outside:
        return self


class Vocoder(nn.Module):
    """A generator as a vocoder, and as a model that can be trained: mel, normalised bin by bin -> waveform.

    Args:
        generator: (B,F,M), mask (B,F) -> (B, F * hop).
        n_mels: M.
        speaker: the predictor's, or one that takes nothing.
        predictor: a finished V2A model; its mels are then what the vocoder is trained on, and its inputs are taken.
            It is no part of this module's weights.
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

    def speak(self, mel: Tensor, mask: Tensor | None = None) -> Tensor:
        """Log mel (B,F,M) -> waveform (B, F * hop), zero where the mask (B,F) is False."""
        return self.generator((mel - self.mean) / self.std, mask)

    def forward(self, inputs: Inputs) -> Output:
        """The batch's mel, or the predictor's where there is one -> its waveform."""
        mel, predictor = inputs.signal, self._outside.predictor
        if predictor is not None:
            with torch.no_grad():
                mel = predictor(inputs).mel
        mask = inputs.mask.repeat_interleave(mel.shape[1] // inputs.mask.shape[1], dim=1)
        return Output(waveform=self.speak(mel, mask))
