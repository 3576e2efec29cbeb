"""Registered losses, targets, metrics, recognisers, speakers and trackers that need no data keep their contract."""

import pytest

from v2skit.errors import UserError
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.registry.plugins import registry
from v2skit.testing import examples
from v2skit.testing.components import check_contract

KINDS = ("loss", "target", "metric", "asr", "speaker", "tracker", "extractor", "logger")
NEED_DATA = {
    ("loss", "perceptual"), ("target", "units"), ("speaker", "d_vector"), ("tracker", "landmarks"),
    ("asr", "whisper"), ("extractor", "audio_frontend"), ("extractor", "torchaudio"),
    ("asr", "torchaudio"), ("loss", "recognition"), ("metric", "lse"),
}  # fmt: skip
"""Those that need a checkpoint, weights, recordings or landmarks; files of their own test them."""
ARGUMENTS = {
    ("loss", "adversarial"): {"discriminators": {"waveform": Component("waveform", {}, kind="discriminator")}},
    ("target", "tokens"): {"tokenizer": Component("characters", {}, kind="tokenizer")},
    ("tracker", "fixed"): {"x": 20.0, "y": 16.0, "side": 10.0},
}


def entries():
    found = [entry for kind in KINDS for entry in registry().entries(kind)]
    return [(e.kind, e.name) for e in found if e.origin == "v2skit" and (e.kind, e.name) not in NEED_DATA]


@pytest.mark.parametrize("kind, name", entries())
def test_component_keeps_its_contract(kind, name, tmp_path):
    choice = Component(name, ARGUMENTS.get((kind, name), {}), kind=kind)
    try:
        check_contract(kind, lambda: build(kind, choice, **examples.given(kind, tmp_path)), tmp_path)
    except UserError as error:
        if "pip install" in str(error):
            pytest.skip(f"its package is not installed: {error}")
        raise


def test_all_that_need_data_are_registered():
    assert {(e.kind, e.name) for e in registry().entries()} >= NEED_DATA
