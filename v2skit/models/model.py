"""frontend -> (speaker) -> encoder -> decoder: one model for audio-to-audio (A2A) and video-to-audio (V2A)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from v2skit.data.batch import PREDICTED, Batch, Inputs
from v2skit.models.layers.dual_norm import set_modality
from v2skit.models.output import Output
from v2skit.models.speakers.none import NoSpeaker
from v2skit.registry.contract import check_scalars

Part = Any
"""A built component: an ``nn.Module`` with the attributes of its kind, which :mod:`v2skit.testing` checks; untyped."""


class Model(nn.Module):
    """Frontend, speaker embedding, encoder and decoder in sequence, and heads on the features between them.

    Dual batch normalisation in encoder, decoder and heads uses the statistics of the frontend's modality.

    Args:
        frontend: its ``input`` is the name of a stream of the batch, or a tuple of several.
        speaker: speaker embedding.
        encoder: (B,T,D+S) -> (B,T,E).
        decoder: its ``output`` is the name of the stream that it outputs, e.g. ``mel`` or ``waveform``.
        heads: by name, each with the features that it is on, ``frontend`` or ``encoder``.
        bottleneck: of the frontend's features before the encoder, (B,T,D) -> (B,T,D); None: none.
        feature_masks: of the same in training, (B,T,D) -> (B,T,D); None: none.
        decoder_speaker: the decoder gets the speaker embedding as well, (B,T,E+S).

    Attributes:
        inputs: names of the streams that it is given.
        output: name of the decoder's stream.
        predictor: in synthesis, the model that predicts those of the inputs that are called ``predicted_...``; in
            training they are in the batch, and it is None.
        heads_on: name of a head -> the features that it is on.
    """

    frontend: Part
    speaker: Part
    encoder: Part
    decoder: Part
    predictor: Model | None

    def __init__(
        self,
        frontend: Part,
        speaker: Part,
        encoder: Part,
        decoder: Part,
        heads: Mapping[str, tuple[Part, str]] | None = None,
        bottleneck: nn.Module | None = None,
        feature_masks: nn.Module | None = None,
        decoder_speaker: bool = False,
    ) -> None:
        super().__init__()
        self.frontend, self.speaker, self.encoder, self.decoder = frontend, speaker, encoder, decoder
        self.heads = nn.ModuleDict({name: head for name, (head, _) in (heads or {}).items()})
        self.bottleneck, self.feature_masks, self.decoder_speaker = bottleneck, feature_masks, decoder_speaker
        self.heads_on = {name: on for name, (_, on) in (heads or {}).items()}
        self.inputs: tuple[str, ...] = stream_names(frontend.input)
        self.output: str = decoder.output
        self.predictor = None
        for part in (encoder, decoder, self.heads):
            set_modality(part, "video" if "video" in self.inputs else "audio")

    @property
    def device(self) -> torch.device:
        """Where its weights are; the CPU where it has none, as networks of other runtimes."""
        return next((parameter.device for parameter in self.parameters()), torch.device("cpu"))

    @property
    def predicted(self) -> tuple[str, ...]:
        """Names of the inputs that another model predicts."""
        return tuple(name for name in self.inputs if name.startswith(PREDICTED))

    @property
    def has_own_losses(self) -> bool:
        """Whether the decoder has a training loss of its own."""
        return hasattr(self.decoder, "training_loss")

    @property
    def head_streams(self) -> set[str]:
        """Names of the streams that heads give."""
        parts: list[Part] = list(self.heads.values())
        return {name for head in parts for name in head.outputs}

    @property
    def streams(self) -> set[str]:
        """Names of the streams that it outputs: the decoder's, its further ones, and the heads'."""
        return {self.output, *getattr(self.decoder, "further_outputs", ()), *self.head_streams}

    @property
    def training_streams(self) -> set[str]:
        """Names of the streams that it gives in training: of a decoder that has losses of its own, only its
        ``training_outputs``."""
        if not self.has_own_losses:
            return self.streams
        return {*self._training_outputs, *self.head_streams}

    @property
    def _training_outputs(self) -> tuple[str, ...]:
        """Names of the streams that the decoder's ``training_loss`` gives beside its losses."""
        return getattr(self.decoder, "training_outputs", ())

    def forward(self, inputs: Inputs, heads: bool = False) -> Output:
        """Streams of a batch -> that of the decoder, zero beyond the mask; ``heads``: and those of the heads."""
        features = self._features(inputs)
        streams = self._decoded(features["decoder"], inputs.mask)
        return Output.of({**(self._head_outputs(features, inputs.mask) if heads else {}), **streams})

    def training_output(self, batch: Batch, synthesise: bool = True, inputs: Inputs | None = None) -> Output:
        """What the losses are computed from: the streams, and the values of the decoder's own losses if it has any.

        Args:
            batch: inputs and targets.
            synthesise: give the decoder's stream too; without it a decoder with own losses gives its
                ``training_outputs`` only.
            inputs: instead of those of the batch, which then has the targets only.
        """
        inputs = batch.inputs(self.inputs) if inputs is None else inputs
        features = self._features(inputs)
        streams, losses = self._head_outputs(features, inputs.mask), {}
        if self.has_own_losses:
            losses = dict(self.decoder.training_loss(features["decoder"], inputs.mask, batch))
            streams |= {name: losses.pop(name) for name in self._training_outputs if name in losses}
            check_scalars(f"decoder {type(self.decoder).__name__}: training_loss()", losses)
        if synthesise or not self.has_own_losses:
            streams.update(self._decoded(features["decoder"], inputs.mask))
        return Output.of(streams, losses)

    def features(self, inputs: Inputs) -> Tensor:
        """Inputs -> features of the frontend (B,T,D); with a predictor, the streams that it predicts are never those of
        the inputs."""
        predicted = self.predictor(inputs).streams if self.predictor else {}
        streams = {**inputs.streams, **{f"{PREDICTED}{name}": stream for name, stream in predicted.items()}}
        return self.frontend(*(streams[name] for name in self.inputs), inputs.mask)

    def encode(self, x: Tensor, speaker: Tensor, mask: Tensor) -> Tensor:
        """Features of the frontend (B,T,D) and input of the speaker component (B,...) -> (B,T,E)."""
        return self.encoder(self.condition(x, speaker), mask)

    def condition(self, x: Tensor, speaker: Tensor) -> Tensor:
        """Append the speaker embedding to each frame: features (B,T,D), speaker input (B,...) -> (B,T,D+S)."""
        return _appended(self._masked(x), self.speaker(speaker))

    def decode(self, x: Tensor, speaker: Tensor, mask: Tensor) -> Tensor:
        """Features of the encoder (B,T,E) and input of the speaker component (B,...) -> the stream ``output``."""
        return self._decoded(self.decoder_input(x, speaker), mask)[self.output]

    def decoder_input(self, x: Tensor, speaker: Tensor) -> Tensor:
        """Features of the encoder (B,T,E) and input of the speaker component (B,...) -> those that the decoder gets."""
        return _appended(x, self.speaker(speaker)) if self.decoder_speaker else x

    def _masked(self, x: Tensor) -> Tensor:
        """Features of the frontend (B,T,D), as training narrows and masks them."""
        x = x if self.bottleneck is None else self.bottleneck(x)
        return x if self.feature_masks is None else self.feature_masks(x)

    def _features(self, inputs: Inputs) -> dict[str, Tensor]:
        """The features of frontend (B,T,D) and encoder (B,T,E), and those that the decoder gets, (B,T,E) or (B,T,E+S)
        with the same speaker embedding, which may be dropped out in training."""
        x = self.features(inputs)
        masked = self._masked(x)
        embedding = self.speaker(inputs.speaker)  # (B, S)
        encoded = self.encoder(_appended(masked, embedding), inputs.mask)
        decoded = _appended(encoded, embedding) if self.decoder_speaker else encoded
        return {"frontend": x, "encoder": encoded, "decoder": decoded}

    def _decoded(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """The streams of the decoder, which outputs one tensor or several by name."""
        found = self.decoder(x, mask)
        return dict(found) if isinstance(found, Mapping) else {self.output: found}

    def _head_outputs(self, features: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
        streams: dict[str, Tensor] = {}
        for name, head in self.heads.items():
            streams.update(head(features[self.heads_on[name]], mask))
        return streams


def _appended(x: Tensor, embedding: Tensor) -> Tensor:
    """Features (B,T,D), speaker embedding (B,S) -> (B,T,D+S)."""
    return torch.cat([x, embedding.to(x.dtype)[:, None].expand(-1, x.shape[1], -1)], dim=-1)


def stream_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """The names of one stream or of several."""
    return (names,) if isinstance(names, str) else tuple(names)


class Vocoder(nn.Module):
    """A generator as a vocoder, and as a model that can be trained: mel, normalised per bin, or another stream as it
    is -> waveform.

    Args:
        generator: e.g. mel (B,F,M), mask (B,F) -> (B, F * hop); its ``input`` is the stream's name, else ``mel``.
        n_mels: M.
        stream: name of the stream of a batch that is its input, e.g. one predicted by another model; None: ``input``.

    Attributes:
        input: what the generator makes a waveform of, e.g. ``mel``.
        inputs: the stream's name.
        speaker: none.
    """

    output = "waveform"
    speaker = NoSpeaker()
    mean: Tensor
    std: Tensor

    def __init__(self, generator: Part, n_mels: int, stream: str | None = None) -> None:
        super().__init__()
        self.generator = generator
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("std", torch.ones(n_mels))
        self.input: str = getattr(generator, "input", "mel")
        self.inputs: tuple[str, ...] = (stream or self.input,)

    @property
    def streams(self) -> set[str]:
        """Names of the streams that it outputs."""
        return {self.output}

    def generate(self, stream: Tensor, mask: Tensor | None = None) -> Tensor:
        """Log mel (B,F,M), or its own stream (B,F,...) -> waveform (B,N), zero where the mask (B,F) is False."""
        return self.generator((stream - self.mean) / self.std if self.input == "mel" else stream, mask)

    def forward(self, inputs: Inputs, heads: bool = False) -> Output:
        """The stream (B,F,M), or (B,L,...), -> waveform (B,N)."""
        (name,) = self.inputs
        stream = inputs.streams[name]
        mask = inputs.mask.repeat_interleave(stream.shape[1] // inputs.mask.shape[1], dim=1)
        return Output(waveform=self.generate(stream, mask))

    def training_output(self, batch: Batch, synthesise: bool = True, inputs: Inputs | None = None) -> Output:
        """As :meth:`Model.training_output`."""
        return self(batch.inputs(self.inputs) if inputs is None else inputs)
