"""Registered losses, targets, metrics, recognisers, speakers and trackers that need no data keep their contract."""

import math

import numpy as np
import pytest
import torch

from tests.evaluation.signals import RATE, babble
from v2skit import testing
from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.data.targets import FitUtterance, is_fitted, is_stored
from v2skit.errors import UserError
from v2skit.models.output import Output
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.registry.plugins import registry

CLOCK, MEL = Clock(), Mel()
FRAMES, CLASSES = 12, 5
TEXT = "BIN BLUE AT F TWO NOW"
NEED_DATA = {
    ("loss", "perceptual"), ("target", "units"), ("speaker", "d_vector"), ("tracker", "landmarks"),
    ("asr", "whisper"), ("asr", "torchaudio"), ("loss", "recognition"),
    ("metric", "lse"),
}  # fmt: skip
"""Those that need a checkpoint, weights, recordings or landmarks; files of their own test them."""
ARGUMENTS = {
    ("loss", "adversarial"): {"discriminators": {"waveform": Component("waveform", {}, kind="discriminator")}},
    ("target", "tokens"): {"tokenizer": Component("characters", {}, kind="tokenizer")},
    ("tracker", "fixed"): {"x": 20.0, "y": 16.0, "side": 10.0},
}
FACELESS = ("face_mesh", "mediapipe")
"""Trackers that find no face in random frames; tests/tracking has their contract with faces."""


def names(kind):
    found = registry().entries(kind)
    return [e.name for e in found if e.origin == "v2skit" and (kind, e.name) not in NEED_DATA]


def component(kind, name):
    try:
        return build(
            kind, Component(name, ARGUMENTS.get((kind, name), {}), kind=kind), clock=CLOCK, mel=MEL, speakers=["a", "b"]
        )
    except UserError as error:
        if "pip install" in str(error):
            pytest.skip(f"its package is not installed: {error}")
        raise


def batch():
    torch.manual_seed(0)
    mask = torch.ones(2, FRAMES, dtype=torch.bool)
    mask[1, 5:] = False
    mels = FRAMES * MEL.per_frame(CLOCK)
    valid = mask.repeat_interleave(MEL.per_frame(CLOCK), dim=1)
    waveform = (
        0.1 * torch.randn(2, FRAMES * CLOCK.samples_per_frame) * mask.repeat_interleave(CLOCK.samples_per_frame, 1)
    )
    extras = {
        "units": torch.randint(0, CLASSES, (2, FRAMES)).masked_fill(~mask, -1),
        "tokens": torch.tensor([[1, 2, 3], [2, -1, -1]]),
        "f0": 100 + 50 * torch.rand(2, mels) * valid,
    }
    mel = 2 * torch.randn(2, mels, MEL.n_mels) - 5
    return Batch(["a-1", "b-1"], mask, torch.zeros(2), waveform, mel, extras=extras)


def output(given):
    torch.manual_seed(1)
    extras = {
        "units": torch.randn(2, FRAMES, CLASSES),
        "tokens": torch.randn(2, FRAMES, CLASSES),
        "f0": 100 + 50 * torch.rand_like(given.extras["f0"]),
        "voicing": torch.randn_like(given.extras["f0"]),
    }
    return Output(torch.randn_like(given.mel) - 5, 0.1 * torch.randn_like(given.waveform), extras)


@pytest.mark.parametrize("name", names("loss"))
def test_losses(name):
    testing.check_loss(component("loss", name), output(batch()), batch())


@pytest.mark.parametrize("name", names("target"))
def test_targets(name):
    target = component("target", name)
    if not is_stored(target):
        testing.check_device_target(target, batch())
        return
    waveform = 0.3 * np.sin(2 * math.pi * 200 / CLOCK.sample_rate * np.arange(FRAMES * CLOCK.samples_per_frame))
    if is_fitted(target):
        target.fit([FitUtterance("a-1", TEXT, lambda: waveform.astype(np.float32))])
    if name == "f0":
        pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")
    testing.check_target(target, waveform.astype(np.float32), FRAMES, TEXT)


@pytest.mark.parametrize("name", names("metric"))
def test_metrics(name):
    speech = babble()
    noise = 0.3 * np.abs(speech).max() * np.random.default_rng(0).standard_normal(len(speech))
    testing.check_metric(component("metric", name), speech, speech + noise, RATE)


@pytest.mark.parametrize("name", names("asr"))
def test_recognisers(name):
    testing.check_asr(component("asr", name), babble(), RATE)


@pytest.mark.parametrize("name", names("speaker"))
def test_speakers(name, tmp_path):
    testing.check_speaker(component("speaker", name), tmp_path, [("a-1", "a"), ("b-1", "b"), ("c-1", "c")])


@pytest.mark.parametrize("name", [name for name in names("tracker") if name not in FACELESS])
def test_trackers(name):
    frames = np.random.default_rng(0).integers(0, 255, (4, 32, 40, 3), dtype=np.uint8)
    testing.check_tracker(component("tracker", name), list(frames))


def test_all_that_need_data_are_registered():
    assert {(e.kind, e.name) for e in registry().entries()} >= NEED_DATA
