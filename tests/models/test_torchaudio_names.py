"""Weights in the naming of fairseq and of Hugging Face give the features, and the units, of the same weights in
torchaudio's."""

import argparse
from functools import reduce
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.losses.test_perceptual import SMALL, WAVLM
from v2skit.config.features import Clock
from v2skit.errors import UserError
from v2skit.losses.extractors.torchaudio import TorchaudioBundle
from v2skit.targets.units import Units

CLOCK = Clock()
TO_FAIRSEQ = [
    ("encoder.feature_projection.projection.", "post_extract_proj."),
    ("encoder.feature_projection.", ""),
    ("encoder.transformer.", "encoder."),
    ("pos_conv_embed.conv.", "pos_conv.0."),
    (".feed_forward.intermediate_dense.", ".fc1."),
    (".feed_forward.output_dense.", ".fc2."),
    (".attention.", ".self_attn."),
    ("conv_layers.0.layer_norm.", "conv_layers.0.2."),
    (".conv.weight", ".0.weight"),
    *[(f"layers.{i}.layer_norm.", f"layers.{i}.self_attn_layer_norm.") for i in range(SMALL["encoder_num_layers"])],
    ("parametrizations.weight.original0", "weight_g"),
    ("parametrizations.weight.original1", "weight_v"),
]
"""Parts of torchaudio's names -> of fairseq's."""
TO_HUGGING_FACE = [("encoder.feature_projection.", "feature_projection."), ("encoder.transformer.", "encoder.")]


def renamed(state, rules, prefix=""):
    return {
        prefix + reduce(lambda name, rule: name.replace(*rule), rules, name): value for name, value in state.items()
    }


def of_fairseq(state):
    """With what pre-training adds, and settings in a class."""
    more = {"mask_emb": torch.zeros(8), "final_proj.weight": torch.zeros(4, 8), "label_embs_concat": torch.zeros(4, 4)}
    return {"args": argparse.Namespace(encoder_layers=3), "model": {**renamed(state, TO_FAIRSEQ), **more}}


def of_hugging_face(state, prefix):
    """With three projections instead of one in the attention of WavLM."""
    found = renamed(state, TO_HUGGING_FACE, prefix)
    for name in [name for name in found if ".attention.attention." in name]:
        value, place = found.pop(name), name.replace(".attention.attention.", ".attention.")
        if "in_proj_" in name:
            values = {part: third.clone() for part, third in zip("qkv", value.chunk(3))}
            found |= {place.replace("in_proj_", f"{part}_proj."): third for part, third in values.items()}
        else:
            found[place] = value
    return {**found, f"{prefix}masked_spec_embed": torch.zeros(8)}


@pytest.fixture(params=["HuBERT", "WavLM"])
def published(request, monkeypatch, torchaudio):
    """Random weights of a small model of this name, by torchaudio's names."""
    wavlm = request.param == "WavLM"
    params = {**SMALL, **(WAVLM if wavlm else {})}
    bundle = torchaudio.pipelines.Wav2Vec2Bundle("small.pth", params, 16000, False, "WavLM" if wavlm else "Wav2Vec2")
    monkeypatch.setattr(torchaudio.pipelines, "SMALL", bundle, raising=False)
    torch.manual_seed(1)
    make = torchaudio.models.wavlm_model if wavlm else torchaudio.models.wav2vec2_model
    return request.param, make(**params).state_dict()


def files(name, state, folder):
    """The weights in all naming schemes that publish such a model."""
    prefix = name.lower() + "."
    save_file(of_hugging_face(state, prefix), folder / "model.safetensors")
    torch.save(of_hugging_face(state, ""), folder / "pytorch_model.bin")
    yield from (folder / "model.safetensors", folder / "pytorch_model.bin")
    if name != "WavLM":
        torch.save(of_fairseq(state), folder / "fairseq.pt")
        yield folder / "fairseq.pt"


def test_features_are_those_of_torchaudios_file(published, tmp_path):
    name, state = published
    torch.save(state, tmp_path / "torchaudio.pth")
    waveform = torch.randn(1, 8 * CLOCK.samples_per_frame)
    want = TorchaudioBundle(CLOCK, "SMALL", str(tmp_path / "torchaudio.pth")).eval()(waveform)
    assert want[0].std() > 0.1
    for file in files(name, state, tmp_path):
        found = TorchaudioBundle(CLOCK, "SMALL", str(file)).eval()(waveform)
        assert len(found) == len(want) and all(torch.equal(a, b) for a, b in zip(found, want)), file.name


def test_units_of_a_layer(published, tmp_path):
    name, state = published
    random = np.random.default_rng(0)
    clips = [(0.1 * random.standard_normal(10 * CLOCK.samples_per_frame)).astype(np.float32) for _ in range(6)]
    utterances = [SimpleNamespace(id="a", text=None, waveform=lambda clip=clip: clip) for clip in clips]
    file = next(files(name, state, tmp_path))

    def fitted(layer):
        target = Units(
            CLOCK, lambda: TorchaudioBundle(CLOCK, "SMALL", str(file), layers=(layer,)), clusters=4, per_frame=2
        )
        return target, target.fit(utterances)

    (target, first), (_, second), (_, other) = fitted(2), fitted(2), fitted(3)
    units = target.compute(clips[0])
    assert units.shape == (20,) and units.dtype == np.int32 and len(set(units.tolist())) > 1
    assert first == second and first["centroids"] != other["centroids"] and first["shape"] == [4, 8]


def test_other_weights_are_refused(published, tmp_path):
    state = published[1]
    wrong = of_hugging_face(state, "")
    wrong.pop("encoder.layers.2.final_layer_norm.weight")
    torch.save(wrong, tmp_path / "short.bin")
    strange = of_fairseq(state)
    strange["model"]["encoder.adapter.weight"] = torch.zeros(2)
    torch.save(strange, tmp_path / "strange.pt")
    for file, why in (("short.bin", "final_layer_norm.weight"), ("strange.pt", "Unexpected key: encoder")):
        with pytest.raises(UserError, match=f"{file} does not hold the weights of SMALL .*{why}"):
            TorchaudioBundle(CLOCK, "SMALL", str(tmp_path / file))
