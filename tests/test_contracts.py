"""Every registered network keeps its contract."""

import pytest
import torch

from v2skit import testing
from v2skit.clock import Clock, Mel
from v2skit.plugins import registry
from v2skit.registry import construct

IN_DIM = 24
CLOCK, MEL = Clock(), Mel()
SMALL = {"hifigan": {"channels": 32}, "wavegan": {"channels": 32}, "istft": {"dim": 32, "blocks": 2}}
CHECKS = {
    "visual_frontend": testing.check_visual_frontend,
    "audio_frontend": lambda module: testing.check_audio_frontend(module, CLOCK, MEL),
    "encoder": lambda module: testing.check_encoder(module, IN_DIM),
    "decoder": lambda module: testing.check_decoder(module, IN_DIM, CLOCK, MEL),
}


@pytest.mark.parametrize("kind, name", [(e.kind, e.name) for kind in CHECKS for e in registry().entries(kind)])
def test_network_keeps_its_contract(kind, name):
    torch.manual_seed(1)
    component = registry().entry(kind, name).load()
    CHECKS[kind](construct(kind, component, SMALL.get(name, {}), in_dim=IN_DIM, step=CLOCK.samples_per_frame, clock=CLOCK, mel=MEL))
