"""Batches of clips, and the inputs of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model. For V2A there is no audio among them, so no target can reach inference.

    Args:
        signal: input of the frontend: video (B,T,1,H,W), mel (B,F,M) or waveform (B,N).
        mask: (B,T), True where a video frame is valid.
        speaker: from the speaker component's reader, (B,...).
    """

    signal: Tensor
    mask: Tensor
    speaker: Tensor


@dataclass(frozen=True)
class Batch:
    """A training batch: inputs and targets.

    Args:
        ids: utterance ids.
        mask: (B,T).
        speaker: (B,...).
        waveform: target (B,N), N = T * samples_per_frame, zero beyond the mask.
        mel: target (B,F,M), computed on the device.
        video: normalised mouth crops (B,T,1,H,W), or None for audio-only data.
        position: (epoch, batch) in the data's order where training resumes after the batch's optimiser step.
    """

    ids: list[str]
    mask: Tensor
    speaker: Tensor
    waveform: Tensor
    mel: Tensor | None = None
    video: Tensor | None = None
    position: tuple[int, int] = (0, 0)

    def inputs(self, signal: str) -> Inputs:
        """The model's inputs; ``signal`` is the frontend's ``input``: ``video``, ``mel`` or ``waveform``."""
        return Inputs(getattr(self, signal), self.mask, self.speaker)

    def sample_mask(self) -> Tensor:
        """(B,N), True where a sample is valid."""
        return self.mask.repeat_interleave(self.waveform.shape[1] // self.mask.shape[1], dim=1)

    def mel_mask(self) -> Tensor:
        """(B,F), True where a mel frame is valid."""
        assert self.mel is not None, "computed on the device"
        return self.mask.repeat_interleave(self.mel.shape[1] // self.mask.shape[1], dim=1)

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return replace(self, **{name: t.to(device, non_blocking=True) for name, t in self._tensors().items()})

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory, from which :meth:`to` copies to a GPU without waiting; torch's loader
        calls it."""
        return replace(self, **{name: t.pin_memory() for name, t in self._tensors().items()})

    def _tensors(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
