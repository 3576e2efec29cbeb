"""Every registered network keeps its contract."""

import pytest
import torch

from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.registry.plugins import registry
from v2skit.testing import examples
from v2skit.testing.components import check_contract

KINDS = ("visual_frontend", "audio_frontend", "encoder", "decoder", "vocoder", "discriminator", "head", "tokenizer")
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
WITH_PARTS = {("vocoder", "units"): UNITS_VOCODER, ("visual_frontend", "audiovisual"): AUDIOVISUAL}
NEEDS_A_CHECKPOINT = ("trained",)
LIMITED_CONFORMER = {"look_ahead_frames": 2, "attention_frames": 5, "blocks": 3, "conv_kernel": 7}
STREAMING = [
    ("visual_frontend", "resnet3d_small", {"look_ahead_frames": 1}),
    ("encoder", "conformer", LIMITED_CONFORMER),
    ("encoder", "conformer", {**LIMITED_CONFORMER, "look_ahead_in": "convolution"}),
    ("decoder", "flow_mel", {"look_ahead_frames": 0, "dim": 16, "blocks": 2, "steps": 2}),
    ("decoder", "istft", {"look_ahead_frames": 1, "dim": 32, "blocks": 2}),
    ("vocoder", "istft", {"look_ahead_frames": 3, "dim": 32, "blocks": 2}),
]
ENTRIES = [(e.kind, e.name) for kind in KINDS for e in registry().entries(kind) if e.name not in NEEDS_A_CHECKPOINT]


def network(kind, name, args, folder):
    torch.manual_seed(1)
    return build(kind, Component(name, args), **examples.given(kind, folder))


def small(kind, name):
    return WITH_PARTS.get((kind, name), SMALL.get(name, {}))


@pytest.mark.parametrize("kind, name", ENTRIES)
def test_network_keeps_its_contract(kind, name, tmp_path):
    check_contract(kind, lambda: network(kind, name, small(kind, name), tmp_path), tmp_path)


@pytest.mark.parametrize("kind, name, args", STREAMING)
def test_network_with_limited_look_ahead_keeps_its_contract(kind, name, args, tmp_path):
    module = network(kind, name, args, tmp_path)
    assert module.look_ahead_frames == args["look_ahead_frames"]
    check_contract(kind, lambda: module, tmp_path)


@pytest.mark.parametrize("kind, name", [e for e in ENTRIES if e[0] in ("visual_frontend", "encoder", "decoder")])
def test_every_built_in_part_declares_its_receptive_field(kind, name, tmp_path):
    if registry().entry(kind, name).origin != "v2skit":
        pytest.skip("brought by a plug-in")
    module = network(kind, name, small(kind, name), tmp_path)
    assert hasattr(module, "left_context_frames") and hasattr(module, "look_ahead_frames")
