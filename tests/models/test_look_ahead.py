"""Weights of a model with another look-ahead: kernels over time are shifted, so that their weights keep their place."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from v2skit.config.load import load_config
from v2skit.config.parts import Part
from v2skit.data.batch import Inputs
from v2skit.data.targets import Targets
from v2skit.models import checkpoint
from v2skit.models.build import build_model
from v2skit.models.look_ahead import Shift, model_shifts, part_shifts, shifted
from v2skit.synthesis.synthesiser import load_model
from v2skit.training.initialise import initialise
from v2skit.training.transfer import transfer

PARTS = ["visual_frontend", "encoder", "decoder"]
FRAMES = 8
LIMITED = [
    "networks.visual_frontend.look_ahead_frames=1",
    f"networks.encoder.look_ahead_frames={FRAMES}",  # and attention to the whole clip: the convolution is causal
    f"networks.encoder.attention_frames={FRAMES}",
    "networks.decoder={type: flow_mel, dim: 8, blocks: 2, steps: 4, look_ahead_frames: 1}",
]
UNLIMITED = ["networks.decoder={type: flow_mel, dim: 8, blocks: 2, steps: 4}"]
SHARED = ["networks.encoder.conv_kernel=5", "networks.speaker={type: none}"]


@pytest.mark.parametrize(
    ("theirs", "ours", "want"),
    [(2, 1, [0, 1, 2, 3, 4]), (2, 0, [0, 0, 1, 2, 3]), (0, 2, [3, 4, 5, 0, 0]), (1, 1, [1, 2, 3, 4, 5])],
)
def test_weights_keep_their_distance_from_the_frame(theirs, ours, want):
    kernel = torch.arange(1.0, 6.0)
    assert Shift(theirs, ours, -1).apply(kernel).tolist() == want


def test_a_kernel_without_a_common_frame_becomes_zero():
    assert Shift(9, 0, -1).apply(torch.ones(5)).tolist() == [0] * 5
    assert Shift(0, 9, 0).apply(torch.ones(5, 2)).sum() == 0


@pytest.fixture
def models(tiny, tmp_path):
    """A model that sees the whole clip but gives no weight to what is beyond the look-ahead of a second one, in a
    checkpoint; and the second one with its config."""
    config = load_config(tiny, [*SHARED, *LIMITED])
    limited = build_model(config, "v2a", []).eval()
    whole_config = load_config(tiny, [*SHARED, *UNLIMITED])
    whole = build_model(whole_config, "v2a", []).eval()
    torch.manual_seed(0)
    torch.nn.init.normal_(whole.decoder.out.weight)  # otherwise the stack has no effect
    meta = checkpoint.new_meta(whole_config, "v2a", [])
    there_and_back = model_shifts(meta, limited, config, Targets(), PARTS)
    with torch.no_grad():
        for name, shift in there_and_back.items():
            weight = whole.get_parameter(name)
            weight.copy_(Shift(shift.ours, shift.theirs, shift.dim).apply(shift.apply(weight)))
    checkpoint.save(checkpoint.Checkpoint(meta, whole.state_dict()), tmp_path / "whole")
    return config, whole, limited


def speech_of(model) -> torch.Tensor:
    torch.manual_seed(1)
    mask = torch.ones(1, FRAMES, dtype=torch.bool)
    with torch.no_grad():
        return model(Inputs({"video": torch.randn(1, FRAMES, 1, 88, 88)}, mask, torch.zeros(1, 0))).stream("mel")


def test_a_model_that_starts_from_one_with_more_look_ahead_says_the_same_where_that_has_no_weight(models, tmp_path):
    config, whole, limited = models
    parts = {name: Part(init=str(tmp_path / "whole")) for name in PARTS}
    ledger = initialise(limited, parts, "v2a", config, [])
    torch.testing.assert_close(speech_of(limited), speech_of(whole))
    limited.load_state_dict(whole.state_dict())  # as they are
    assert not torch.allclose(speech_of(limited), speech_of(whole), atol=0.1)
    changes = {entry.tensor: entry.change for entry in ledger.entries if entry.change}
    assert changes["frontend.stem.0.weight"] == "look-ahead 2 -> 1"
    assert changes["encoder.blocks.0.convolution.depthwise.weight"] == "look-ahead 2 -> 0"
    assert {"decoder.blocks.0.depthwise.weight", "decoder.blocks.1.depthwise.weight"} <= set(changes)
    ledger.write(tmp_path)
    assert "| frontend.stem.0.weight | copied, look-ahead 2 -> 1 |" in (tmp_path / "ledger.md").read_text()


def test_a_bare_state_dict_and_one_of_another_toolkit_are_copied_as_they_are(models, tmp_path):
    config, whole, limited = models
    save_file(whole.state_dict(), tmp_path / "whole.safetensors")
    for part in (
        Part(init=str(tmp_path / "whole.safetensors")),
        Part(init=str(tmp_path / "whole"), init_prefix={"decoder.": ""}),
    ):
        assert not [
            entry for entry in initialise(limited, {"decoder": part}, "v2a", config, []).entries if entry.change
        ]
        assert torch.equal(limited.decoder.blocks[0].depthwise.weight, whole.decoder.blocks[0].depthwise.weight)


def test_parts_that_are_transferred_are_shifted_too(models, tmp_path):
    config, whole, limited = models
    saved = checkpoint.load(tmp_path / "whole")
    before = limited.encoder.blocks[0].convolution.depthwise.weight.clone()
    shifts = model_shifts(saved.meta, limited, config, Targets(), ["decoder"])
    ledger = transfer(saved.inference_weights, limited, ["decoder"], shifts)
    name = "decoder.blocks.0.depthwise.weight"
    want = shifted(whole.state_dict(), shifts)[name]
    assert torch.equal(limited.get_parameter(name), want) and not torch.equal(want, whole.get_parameter(name))
    assert {entry.part for entry in ledger.entries if entry.change} == {"decoder"}
    assert torch.equal(limited.encoder.blocks[0].convolution.depthwise.weight, before)


def test_a_convolution_that_looks_ahead_less_keeps_the_weights_within(models, tmp_path):
    _, whole, _ = models
    ahead = ["networks.encoder.look_ahead_in=convolution", "networks.encoder.look_ahead_frames=1"]
    config = load_config(tmp_path / "tiny.yaml", [*SHARED, *LIMITED, *ahead])
    model = build_model(config, "v2a", [])
    ledger = initialise(model, {"encoder": Part(init=str(tmp_path / "whole"))}, "v2a", config, [])
    name = "encoder.blocks.0.convolution.depthwise.weight"
    assert {entry.tensor: entry.change for entry in ledger.entries if entry.change} == {name: "look-ahead 2 -> 1"}
    ours, theirs = model.get_parameter(name), whole.get_parameter(name)
    assert torch.equal(ours[..., 1:], theirs[..., :-1]) and not ours[..., 0].any() and theirs[..., :-1].any()


def test_the_random_numbers_of_the_training_do_not_depend_on_it(models, tmp_path):
    config, _, limited = models
    torch.manual_seed(3)
    want = torch.rand(1)
    torch.manual_seed(3)
    assert model_shifts(checkpoint.read_meta(tmp_path / "whole"), limited, config, Targets(), PARTS)
    assert torch.equal(torch.rand(1), want)


def test_models_of_one_look_ahead_are_not_changed(models):
    config, _, limited = models
    meta = checkpoint.new_meta(config, "v2a", [])
    assert model_shifts(meta, limited, config, Targets(), PARTS) == {}
    for theirs in ("heads", "generator", "encoder.no_such_part"):
        assert part_shifts(meta, limited, config, Targets(), "encoder", theirs) == {}


@pytest.mark.parametrize(
    "choice", [{"type": "of_no_plugin"}, {"type": "conformer", "old": 1}, {"type": "os:getcwd"}, 3]
)
def test_what_cannot_be_built_here_is_copied_as_it_is_and_the_rest_is_not_concerned(models, tmp_path, choice):
    """Neither plug-ins that are not installed nor code of others are needed to copy weights."""
    config, whole, limited = models
    meta = checkpoint.read_meta(tmp_path / "whole")
    meta = replace(meta, config={**meta.config, "networks": {**meta.config["networks"], "encoder": choice}})
    checkpoint.save(checkpoint.Checkpoint(meta, whole.state_dict()), tmp_path / "other")
    for name in ("encoder", "decoder"):
        initialise(limited, {name: Part(init=str(tmp_path / "other"))}, "v2a", config, [])
    name = "encoder.blocks.0.convolution.depthwise.weight"
    assert torch.equal(limited.get_parameter(name), whole.get_parameter(name))
    name = "decoder.blocks.0.depthwise.weight"
    assert not torch.equal(limited.get_parameter(name), whole.get_parameter(name))


def test_a_part_of_a_frontend_starts_from_a_whole_one(models, tmp_path):
    _, whole, _ = models
    both = "networks.visual_frontend={type: audiovisual, "
    both += (
        "visual: {type: resnet3d_small, channels: [4, 8], look_ahead_frames: 0}, audio: {type: mel_conv, out_dim: 8}}"
    )
    config = load_config(tmp_path / "tiny.yaml", [*SHARED, *LIMITED, both, "predictor=some"])
    model = build_model(config, "v2a", [])
    part = Part(init=str(tmp_path / "whole"), init_part="visual_frontend")
    ledger = initialise(model, {"visual_frontend.visual": part}, "v2a", config, [])
    changes = [(entry.tensor, entry.change) for entry in ledger.entries if entry.change]
    assert changes == [("frontend.visual.stem.0.weight", "look-ahead 2 -> 0")]
    theirs = whole.frontend.stem[0].weight
    assert torch.equal(model.frontend.visual.stem[0].weight[:, 2:], theirs[:, :3])


def test_another_number_of_steps_in_synthesis_does_not_move_the_kernels(models, tmp_path):
    config, _, limited = models
    meta = checkpoint.new_meta(config, "v2a", [])
    decoder = replace(config.networks.decoder, args={**config.networks.decoder.args, "steps": 2})
    chosen = replace(config, networks=replace(config.networks, decoder=decoder))
    torch.nn.init.normal_(limited.decoder.out.weight)
    checkpoint.save(checkpoint.Checkpoint(meta, limited.state_dict()), tmp_path / "limited")
    found, model, _, _ = load_model(tmp_path / "limited", "v2a", chosen)
    assert found.networks.decoder.args["steps"] == model.decoder.steps == 2
    four = speech_of(limited)
    limited.decoder.steps = 2
    torch.testing.assert_close(speech_of(model), speech_of(limited))
    assert not torch.allclose(speech_of(model), four, atol=1e-3)
