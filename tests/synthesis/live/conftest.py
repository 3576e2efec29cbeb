"""A tiny model for live video, and a video for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT
from v2skit.config.load import load_config
from v2skit.config.schema import Config
from v2skit.media.crops import write_crops
from v2skit.models import checkpoint
from v2skit.models.build import build_model, build_vocoder, for_inference
from v2skit.models.package import Card, pack
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.synthesis.video import SpeechPieces, Video
from v2skit.tracking.none import NoTracker

STREAMING = ROOT / "egs/mini/conf/streaming.yaml"
ENCODER = "type: conformer, size: null, blocks: 2, dim: 16, heads: 2, ff_dim: 16, conv_kernel: 3"
TINY = {
    "networks.visual_frontend": "{type: resnet3d_small, channels: [4, 8], look_ahead_frames: 1}",
    "networks.speaker": "{type: none}",
    "networks.encoder": f"{{{ENCODER}, look_ahead_frames: 4, attention_frames: 5}}",
    "networks.decoder": "{type: istft, dim: 8, blocks: 1, look_ahead_frames: 1}",
    "tracker": "{type: none}",
}
MEL = {"networks.decoder": "{type: mel_linear}", "vocoder": "{type: griffin_lim, iterations: 2, fit_iterations: 2}"}
WHOLE_CLIP = {"networks.encoder": f"{{{ENCODER}, look_ahead_frames: null, attention_frames: null}}"}
NOBODY = np.zeros(0, np.float32)


def tiny_config(changes: dict[str, str] | None = None) -> Config:
    return load_config(STREAMING, [f"{key}={value}" for key, value in {**TINY, **(changes or {})}.items()])


def tiny_synthesiser(changes: dict[str, str] | None = None) -> Synthesiser:
    """Untrained: its output is noise that depends on the picture."""
    config = tiny_config(changes)
    model = for_inference(build_model(config, "v2a", []))
    vocoder = build_vocoder(config, "mel") if model.output == "mel" else None
    return Synthesiser(config, model, vocoder)


def moving(frames: int, seed: int = 0) -> np.ndarray:
    """Gray crops uint8 (T,96,96), each with a pattern of its own."""
    coarse = np.random.default_rng(seed).integers(0, 256, (frames, 6, 6), np.uint8)
    return coarse.repeat(16, 1).repeat(16, 2)


def offline(synthesiser: Synthesiser, video: Path) -> np.ndarray:
    """The speech of a whole file."""
    source = Video.of_file(video, synthesiser.config.clock)
    pieces = SpeechPieces(source, NoTracker(), synthesiser.pipeline(NOBODY), synthesiser.config)
    return np.concatenate(list(pieces))


@pytest.fixture(scope="module")
def synthesiser() -> Synthesiser:
    return tiny_synthesiser()


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    write_crops(path, moving(41), 25)
    return path


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    """An untrained model in a file."""
    folder, config = tmp_path_factory.mktemp("model"), tiny_config()
    model = build_model(config, "v2a", [])
    meta = checkpoint.new_meta(config, "v2a", [])
    checkpoint.save(checkpoint.Checkpoint(meta, model.state_dict()), folder / "exp/run/step_0")
    pack(folder / "exp/run/step_0", folder / "tiny.v2s", None, Card("tiny", made_for="moving squares"))
    return folder / "tiny.v2s"
