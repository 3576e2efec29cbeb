"""Every registered network keeps its contract."""

import pytest
import torch

from v2skit import testing
from v2skit.config.features import Clock, Mel
from v2skit.registry.kinds import construct
from v2skit.registry.plugins import registry

IN_DIM = 24
CLOCK, MEL = Clock(), Mel()
SMALL = {
    "flow_mel": {"dim": 16, "blocks": 2, "steps": 3},
    "griffin_lim": {"iterations": 2, "fit_iterations": 2},
    "hifigan": {"channels": 32},
    "istft": {"dim": 32, "blocks": 2},
    "multi_period": {"channels": 1},
    "wavegan": {"channels": 32},
}
CHECKS = {
    "visual_frontend": testing.check_visual_frontend,
    "audio_frontend": lambda module: testing.check_audio_frontend(module, CLOCK, MEL),
    "encoder": lambda module: testing.check_encoder(module, IN_DIM),
    "decoder": lambda module: testing.check_decoder(module, IN_DIM, CLOCK, MEL),
    "vocoder": lambda module: testing.check_vocoder(module, MEL),
    "discriminator": testing.check_discriminator,
}
GIVEN = {
    "vocoder": {"in_dim": MEL.n_mels, "step": MEL.hop},
    "decoder": {"in_dim": IN_DIM, "step": CLOCK.samples_per_frame},
    "encoder": {"in_dim": IN_DIM},
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
    return construct(kind, registry().entry(kind, name).load(), args, **GIVEN.get(kind, {}), clock=CLOCK, mel=MEL)


@pytest.mark.parametrize("kind, name", ENTRIES)
def test_network_keeps_its_contract(kind, name):
    CHECKS[kind](network(kind, name, SMALL.get(name, {})))


@pytest.mark.parametrize("kind, name", STREAMING)
def test_network_with_limited_look_ahead_keeps_its_contract(kind, name):
    module = network(kind, name, STREAMING[kind, name])
    assert module.look_ahead_frames == STREAMING[kind, name]["look_ahead_frames"]
    CHECKS[kind](module)


@pytest.mark.parametrize("kind, name", [e for e in ENTRIES if e[0] in ("visual_frontend", "encoder", "decoder")])
def test_every_built_in_part_declares_its_receptive_field(kind, name):
    if registry().entry(kind, name).origin != "v2skit":
        pytest.skip("brought by a plug-in")
    module = network(kind, name, SMALL.get(name, {}))
    assert hasattr(module, "left_context_frames") and hasattr(module, "look_ahead_frames")
