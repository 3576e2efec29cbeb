"""Small components on the open contracts: targets, a head, a loss on any stream, a decoder with its own loss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.models.layers.masked import zero_padding
from v2skit.models.layers.noise import clip_noise
from v2skit.models.output import Output
from v2skit.registry import plugins


class Loudness:
    """Stored target: RMS of each video frame over the mean of the training data, (T,)."""

    rate, dtype = "frame", "float32"

    def __init__(self, clock: Clock, scale: float = 1.0) -> None:
        self.samples, self.scale, self.mean = clock.samples_per_frame, scale, 0.0

    def fit(self, utterances) -> dict:
        values = [np.sqrt(np.mean(u.waveform() ** 2)) for u in utterances]
        assert values
        return {"mean": float(np.mean(values))}

    def load_state(self, state: dict) -> None:
        self.mean = state["mean"]

    def compute(self, waveform: np.ndarray, text: str | None) -> np.ndarray:
        return self.scale * np.sqrt(np.mean(waveform.reshape(-1, self.samples) ** 2, axis=1)) / self.mean


class Letters:
    """Stored target without audio: codes of the letters, a sequence."""

    rate, dtype, needs_audio, why_empty = "sequence", "int32", False, "they have no text"

    def __init__(self, keep: str = "") -> None:
        self.keep = keep

    def compute(self, waveform: np.ndarray, text: str | None) -> np.ndarray:
        return np.array([ord(c) for c in text or "" if not self.keep or c in self.keep])


class MelMean(nn.Module):
    """Target on the device: mean of the mel, (B,F)."""

    rate = "mel"

    def forward(self, batch: Batch) -> Tensor:
        return batch.stream("mel").mean(-1)


class LinearHead(nn.Module):
    """One value a video frame, (B,T)."""

    def __init__(self, in_dim: int, stream: str = "loudness") -> None:
        super().__init__()
        self.outputs, self.linear = (stream,), nn.Linear(in_dim, 1)

    def forward(self, x: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return {self.outputs[0]: zero_padding(self.linear(x), mask)[..., 0]}


class Squared(nn.Module):
    """Mean squared difference of a stream (B,T)."""

    def __init__(self, stream: str = "loudness") -> None:
        super().__init__()
        self.input = stream

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        difference = output.stream(self.input).float() - batch.stream(self.input)
        return {"squared": difference[batch.mask].square().mean()}


class NoisyMel(nn.Module):
    """A mel with noise of a seed at inference, trained by its own loss."""

    output = "mel"
    left_context_frames = look_ahead_frames = None

    def __init__(self, in_dim: int, clock: Clock, mel: Mel, seed: int = 1) -> None:
        super().__init__()
        self.linear, self.n_mels, self.seed = nn.Linear(in_dim, mel.per_frame(clock) * mel.n_mels), mel.n_mels, seed

    def training_loss(self, x: Tensor, mask: Tensor, batch: Batch) -> dict[str, Tensor]:
        wanted = batch.stream("mel") + 0.1 * torch.randn_like(batch.stream("mel"))
        return {"l2": F.mse_loss(self._mel(x)[batch.mel_mask()], wanted[batch.mel_mask()])}

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        noise = clip_noise(self.seed, x.shape[1], self.linear.out_features, x.device, x.dtype)
        return zero_padding(self.linear(x) + noise, mask).unflatten(-1, (-1, self.n_mels)).flatten(1, 2)

    def _mel(self, x: Tensor) -> Tensor:
        return self.linear(x).unflatten(-1, (-1, self.n_mels)).flatten(1, 2).float()


@pytest.fixture
def open_components(monkeypatch):
    """Register them for a test."""
    registry = plugins.registry()
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    here = "tests.open_components"
    for kind, name, target in (
        ("target", "loudness", "Loudness"),
        ("target", "letters", "Letters"),
        ("target", "mel_mean", "MelMean"),
        ("head", "linear_test", "LinearHead"),
        ("loss", "squared_test", "Squared"),
        ("decoder", "noisy_mel", "NoisyMel"),
    ):
        registry.add(kind, name, f"{here}:{target}", "v2skit")
