"""Small examples of what components of each kind are given and called with, for the checks of a whole plug-in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from v2skit.config.features import Clock, Crop, Mel
from v2skit.data.batch import Batch
from v2skit.data.data_dir import Utterance, write_manifest
from v2skit.data.targets import FitUtterance
from v2skit.media.audio import write_audio
from v2skit.models.output import Output
from v2skit.targets.tokens import Tokens
from v2skit.testing.signals import RATE, babble
from v2skit.text.characters import Characters

CLOCK, MEL = Clock(sample_rate=RATE), Mel()
IN_DIM, FRAMES, CLASSES = 24, 12, 5
TEXTS = ["BIN BLUE AT F TWO NOW", "Place red by Z, nine please!"]
SCRIPTS = ["Où est l’été de la Co\u0301rdoba ?", "नमस्ते दुनिया"]
"""Texts with accents, one of them a combining mark, and of a script without case."""
SPEAKERS = ["a", "b"]
GRAMMAR = "#JSGF V1.0; grammar example; public <s> = bin blue at f two now | place red by z nine please;"


def waveform(frames: int = FRAMES) -> np.ndarray:
    """Speech-like sound of video frames, (N,) float32."""
    return babble(frames / CLOCK.fps).astype(np.float32)


def fit_utterances() -> list[FitUtterance]:
    """Training utterances that a target is fitted to."""
    return [FitUtterance(f"{SPEAKERS[0]}-{n}", text, waveform) for n, text in enumerate(TEXTS)]


def targets() -> dict[str, Any]:
    """Targets by stream: ``tokens``, fitted, and ``units``, of which networks need no more than the sizes."""
    tokenizer: Any = Characters()  # built, as Tokens is given it
    tokens = Tokens(tokenizer)
    tokens.fit(fit_utterances())
    return {"tokens": tokens, "units": SimpleNamespace(clusters=CLASSES, per_frame=2)}


def given(kind: str, folder: Path) -> dict[str, Any]:
    """What the toolkit gives to the constructor of a component."""
    common = {"clock": CLOCK, "mel": MEL, "targets": targets(), "speakers": SPEAKERS}
    common |= {"work_dir": folder, "grammar": GRAMMAR}
    own = {"vocoder": {"in_dim": MEL.n_mels, "step": MEL.hop}}
    return {**common, **own.get(kind, {"in_dim": IN_DIM, "step": CLOCK.samples_per_frame})}


def data_directory(folder: Path) -> list[tuple[str, str]]:
    """Write a data directory with audio. Returns its utterances with their speakers."""
    utterances = []
    for number, speaker in enumerate([*SPEAKERS, SPEAKERS[0], "c"]):
        path = folder / "audio" / f"{speaker}-{number}.flac"
        write_audio(path, waveform(50), CLOCK.sample_rate)
        utterances.append(Utterance(path.stem, speaker, 50, path, None, TEXTS[0]))
    write_manifest(folder, utterances, {"clock": vars(CLOCK), "crop": vars(Crop())})
    return [(utterance.id, utterance.speaker) for utterance in utterances]


def batch() -> Batch:
    """Two clips, one of them padded, with mel, tokens, units and F0."""
    torch.manual_seed(0)
    mask = torch.ones(2, FRAMES, dtype=torch.bool)
    mask[1, 5:] = False
    mels = mask.repeat_interleave(MEL.per_frame(CLOCK), dim=1)
    samples = mask.repeat_interleave(CLOCK.samples_per_frame, dim=1)
    extras = {
        "units": torch.randint(0, CLASSES, (2, FRAMES)).masked_fill(~mask, -1),
        "tokens": torch.tensor([[1, 2, 3], [2, -1, -1]]),
        "f0": 100 + 50 * torch.rand(mels.shape) * mels,
    }
    mel = 2 * torch.randn(*mels.shape, MEL.n_mels) - 5
    return Batch(["a-1", "b-1"], mask, torch.zeros(2), 0.1 * torch.randn(samples.shape) * samples, mel, extras=extras)


def output(targets: Batch) -> Output:
    """A possible output of a model for that batch."""
    torch.manual_seed(1)
    assert targets.mel is not None
    extras: dict[str, Tensor] = {
        "units": torch.randn(2, FRAMES, CLASSES),
        "tokens": torch.randn(2, FRAMES, CLASSES),
        "f0": 100 + 50 * torch.rand_like(targets.extras["f0"]),
        "voicing": torch.randn_like(targets.extras["f0"]),
    }
    return Output(torch.randn_like(targets.mel) - 5, 0.1 * torch.randn_like(targets.waveform), extras)
