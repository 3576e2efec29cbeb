"""Batches of clips, and the inputs of a model: named streams of tensors on one clock, the video frame.

A stream has a rate: ``frame``, k values per video frame (B,T*k,...); ``mel`` (B,F,...); ``sample`` (B,N); or
``sequence`` (B,L), integers with a length of their own. Always there are ``waveform``, ``mel`` and, for audio-visual
data, ``video``; the others are computed by the targets of a config.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from v2skit.config.schema import BUILT_IN_STREAMS
from v2skit.errors import UserError, suggestion
from v2skit.signal.mel import MelSpectrogram

PREDICTED = "predicted_"
"""Beginning of the name of a stream that another model predicts: it predicts ``mel``, a batch has ``predicted_mel``."""

PADDING = -1
"""Fills streams of integers beyond their ends; those of floats are filled with zeros."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model. For V2A there is no audio among them, so no target can reach inference.

    Args:
        streams: inputs of the frontend by name, e.g. ``video`` (B,T,1,H,W), ``mel`` (B,F,M) or ``waveform`` (B,N).
        mask: (B,T), True where a video frame is valid.
        speaker: from the speaker component's reader, (B,...).
    """

    streams: Mapping[str, Tensor]
    mask: Tensor
    speaker: Tensor

    def first(self) -> Inputs:
        """Those of the first clip alone."""
        return Inputs({name: value[:1] for name, value in self.streams.items()}, self.mask[:1], self.speaker[:1])


@dataclass(frozen=True)
class Batch:
    """A training batch: inputs and targets.

    Args:
        ids: utterance ids.
        mask: (B,T).
        speaker: (B,...).
        waveform: target (B,N), N = T * samples_per_frame, zero beyond the mask.
        mel: target (B,F,M), computed on the device by :meth:`with_mel`.
        video: normalised mouth crops (B,T,1,H,W), or None for audio-only data.
        extras: streams of the config's targets, by name.
        position: (epoch, batch) in the data's order where training resumes after the batch's optimiser step.
        margins: audio before and after each clip (B,2,P), P a multiple of the hop, zero beyond the utterance; None: P
            is 0.
    """

    ids: list[str]
    mask: Tensor
    speaker: Tensor
    waveform: Tensor
    mel: Tensor | None = None
    video: Tensor | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    position: tuple[int, int] = (0, 0)
    margins: Tensor | None = None

    def inputs(self, names: Iterable[str]) -> Inputs:
        """A model's inputs; ``names`` are its ``inputs``, e.g. ``("video",)``. Raises UserError as :meth:`stream`."""
        return Inputs({name: self.stream(name) for name in names}, self.mask, self.speaker)

    def stream(self, name: str) -> Tensor:
        """A stream by its name. Raises UserError where the batch does not have it."""
        value = getattr(self, name) if name in BUILT_IN_STREAMS else self.extras.get(name)
        if value is None:
            known = [*(n for n in BUILT_IN_STREAMS if getattr(self, n) is not None), *self.extras]
            raise UserError(
                f"no stream '{name}' in a batch{suggestion(name, known)}; there are {', '.join(known)}; others need a "
                "target in the config (targets: ...)",
                stream=name,
            )
        return value

    def sample_mask(self) -> Tensor:
        """(B,N), True where a sample is valid."""
        return self.mask.repeat_interleave(self.waveform.shape[1] // self.mask.shape[1], dim=1)

    def mel_mask(self) -> Tensor:
        """(B,F), True where a mel frame is valid."""
        assert self.mel is not None, "computed on the device"
        return self.mask.repeat_interleave(self.mel.shape[1] // self.mask.shape[1], dim=1)

    def with_mel(self, spectrogram: MelSpectrogram) -> Batch:
        """The same batch with the mel of its waveform. The windows of the outermost frames extend into the margins, so
        that the mel of a segment is that of the whole utterance."""
        margins = self.waveform.new_zeros(len(self.ids), 2, 0) if self.margins is None else self.margins
        count = margins.shape[2]
        around = F.pad(self.waveform, (count, count))
        around[:, :count] = margins[:, 0]
        ends = self.sample_mask().sum(1, keepdim=True) + count  # a clip's right margin follows its own end
        around.scatter_(1, ends + torch.arange(count, device=ends.device), margins[:, 1])
        first, frames = count // spectrogram.mel.hop, self.waveform.shape[1] // spectrogram.mel.hop
        return replace(self, mel=spectrogram(around)[:, first : first + frames])

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, from which :meth:`to` copies to a GPU without waiting; torch's loader
        calls it."""
        return self._each(Tensor.pin_memory)

    def _each(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """The same batch with a function applied to each of its tensors."""
        own: dict[str, Any] = {n: function(value) for n, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **own, extras={name: function(value) for name, value in self.extras.items()})
