"""Every registered network keeps its contract."""

import copy

import numpy as np
import pytest
import torch

from tests.unit_targets import unit_targets
from v2skit import testing
from v2skit.config.features import Clock, Mel
from v2skit.data.targets import FitUtterance
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.registry.plugins import registry
from v2skit.targets.tokens import Tokens
from v2skit.text.characters import Characters

IN_DIM = 24
CLOCK, MEL = Clock(), Mel()
TEXTS = ["BIN BLUE AT F TWO NOW", "Place red by Z, nine please!"]
TOKENS = Tokens(Characters())
TOKENS.fit([FitUtterance(text, text, lambda: np.zeros(0, np.float32)) for text in TEXTS])
SMALL = {
    "flow_mel": {"dim": 16, "blocks": 2, "steps": 3, "temperature": 1.0},
    "griffin_lim": {"iterations": 2, "fit_iterations": 2},
    "ddsp": {"dim": 16, "blocks": 1, "refiner_blocks": 1, "harmonics": 10, "f0_dim": 16},
    "hifigan": {"channels": 32},
    "istft": {"dim": 32, "blocks": 2},
    "multi_period": {"channels": 1},
    "sentencepiece": {"vocab_size": 40},
    "wavegan": {"channels": 32},
}
UNITS_VOCODER = {"generator": Component("istft", {"dim": 32, "blocks": 2}, kind="vocoder")}
AUDIOVISUAL = {
    "visual": Component("resnet3d_small", {"channels": (4, 8)}, kind="visual_frontend"),
    "audio": Component("mel_conv", {"channels": (8,), "out_dim": 8}, kind="audio_frontend"),
    "out_dim": 16,
}
OTHER_INPUTS = {"units": lambda clips, steps: torch.randint(0, 5, (clips, steps))}
"""Input of a vocoder other than the mel -> random values of it."""
WITH_PARTS = {("vocoder", "units"): UNITS_VOCODER, ("visual_frontend", "audiovisual"): AUDIOVISUAL}
TARGETS = unit_targets(clusters=5, per_frame=2)
CHECKS = {
    "visual_frontend": testing.check_visual_frontend,
    "audio_frontend": lambda module: testing.check_audio_frontend(module, CLOCK, MEL),
    "encoder": lambda module: testing.check_encoder(module, IN_DIM),
    "decoder": lambda module: testing.check_decoder(module, IN_DIM, CLOCK, MEL),
    "vocoder": lambda module: testing.check_vocoder(module, MEL, OTHER_INPUTS.get(getattr(module, "input", "mel"))),
    "discriminator": testing.check_discriminator,
    "head": lambda module: testing.check_head(module, IN_DIM),
    "tokenizer": lambda tokenizer: testing.check_tokenizer(lambda: copy.deepcopy(tokenizer), TEXTS),
}
GIVEN = {
    "vocoder": {"in_dim": MEL.n_mels, "step": MEL.hop, "targets": TARGETS},
    "decoder": {"in_dim": IN_DIM, "step": CLOCK.samples_per_frame, "targets": TARGETS},
    "encoder": {"in_dim": IN_DIM},
    "head": {"in_dim": IN_DIM, "targets": {"tokens": TOKENS, **TARGETS}},
}
NEEDS_A_CHECKPOINT = ("trained",)
STREAMING = {
    ("visual_frontend", "resnet3d_small"): {"look_ahead_frames": 1},
    ("encoder", "conformer"): {"look_ahead_frames": 2, "attention_frames": 5, "blocks": 3, "conv_kernel": 7},
    ("decoder", "flow_mel"): {"look_ahead_frames": 0, "dim": 16, "blocks": 2, "steps": 2},
    ("decoder", "istft"): {"look_ahead_frames": 1, "dim": 32, "blocks": 2},
    ("vocoder", "istft"): {"look_ahead_frames": 3, "dim": 32, "blocks": 2},
}
ENTRIES = [(e.kind, e.name) for kind in CHECKS for e in registry().entries(kind) if e.name not in NEEDS_A_CHECKPOINT]


def network(kind, name, args):
    torch.manual_seed(1)
    return build(kind, Component(name, args), **GIVEN.get(kind, {}), clock=CLOCK, mel=MEL)


def small(kind, name):
    return WITH_PARTS.get((kind, name), SMALL.get(name, {}))


@pytest.mark.parametrize("kind, name", ENTRIES)
def test_network_keeps_its_contract(kind, name):
    CHECKS[kind](network(kind, name, small(kind, name)))


@pytest.mark.parametrize("name", [entry.name for entry in registry().entries("logger") if entry.origin == "v2skit"])
def test_logger_keeps_its_contract(name, tmp_path):
    testing.check_logger(registry().entry("logger", name).load(), tmp_path)


@pytest.mark.parametrize("kind, name", STREAMING)
def test_network_with_limited_look_ahead_keeps_its_contract(kind, name):
    module = network(kind, name, STREAMING[kind, name])
    assert module.look_ahead_frames == STREAMING[kind, name]["look_ahead_frames"]
    CHECKS[kind](module)


@pytest.mark.parametrize("kind, name", [e for e in ENTRIES if e[0] in ("visual_frontend", "encoder", "decoder")])
def test_every_built_in_part_declares_its_receptive_field(kind, name):
    if registry().entry(kind, name).origin != "v2skit":
        pytest.skip("brought by a plug-in")
    module = network(kind, name, small(kind, name))
    assert hasattr(module, "left_context_frames") and hasattr(module, "look_ahead_frames")
