"""What a model is given: batches, and of these the inputs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """All that a model sees. For V2A there is no sound in it, so no target can reach inference.

    Args:
        signal: what the frontend takes: video (B,T,1,H,W), mel (B,F,M) or waveform (B,N).
        mask: (B,T), True where a video frame is valid.
        speaker: what the speaker component's reader gives, (B,...).
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
        mel: target (B,F,M), computed on the device by the training loop.
        video: normalised mouth crops (B,T,1,H,W), or None for audio-only data.
        position: (epoch, batch) in the data's order, where training goes on after it.
    """

    ids: list[str]
    mask: Tensor
    speaker: Tensor
    waveform: Tensor
    mel: Tensor | None = None
    video: Tensor | None = None
    position: tuple[int, int] = (0, 0)

    def inputs(self, takes: str) -> Inputs:
        """The model's inputs; ``takes`` is the frontend's: ``video``, ``mel`` or ``waveform``."""
        return Inputs(getattr(self, takes), self.mask, self.speaker)

    def sample_mask(self) -> Tensor:
        """(B,N), True where a sample is valid."""
        return self.mask.repeat_interleave(self.waveform.shape[1] // self.mask.shape[1], dim=1)

    def mel_mask(self) -> Tensor:
        """(B,F), True where a mel frame is valid."""
        assert self.mel is not None, "the training loop computes it"
        return self.mask.repeat_interleave(self.mel.shape[1] // self.mask.shape[1], dim=1)

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        moved: dict[str, Any] = {
            k: v.to(device, non_blocking=True) for k, v in vars(self).items() if isinstance(v, Tensor)
        }
        return replace(self, **moved)
