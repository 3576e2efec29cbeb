"""Every registered network keeps its contract."""

import pytest
import torch

from v2skit import testing
from v2skit.clock import Clock, Mel
from v2skit.plugins import registry
from v2skit.registry import construct

IN_DIM = 24
CLOCK, MEL = Clock(), Mel()
SMALL = {
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
    "critic": testing.check_critic,
}
GIVEN = {
    "vocoder": {"in_dim": MEL.n_mels, "step": MEL.hop},
    "decoder": {"in_dim": IN_DIM, "step": CLOCK.samples_per_frame},
    "encoder": {"in_dim": IN_DIM},
}
NEEDS_A_RUN = ("trained",)


ENTRIES = [(e.kind, e.name) for kind in CHECKS for e in registry().entries(kind) if e.name not in NEEDS_A_RUN]


@pytest.mark.parametrize("kind, name", ENTRIES)
def test_network_keeps_its_contract(kind, name):
    torch.manual_seed(1)
    component = registry().entry(kind, name).load()
    CHECKS[kind](construct(kind, component, SMALL.get(name, {}), **GIVEN.get(kind, {}), clock=CLOCK, mel=MEL))
