"""The speaker embedding as an input of the decoder."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import v2skit
from tests.cases.model import untrained_run
from tests.conftest import ISTFT, TINY
from tests.synthesis.live.conftest import moving
from v2skit.config.load import check_config, load_config, to_tree
from v2skit.data.batch import Inputs
from v2skit.errors import UserError
from v2skit.models.build import build_model
from v2skit.synthesis.exported.export import export_model
from v2skit.synthesis.exported.load import synthesiser_of

ON = "networks.decoder_speaker=true"


def inputs_of(model, frames: int = 5) -> Inputs:
    torch.manual_seed(0)
    video, mask = torch.randn(2, frames, 1, 88, 88), torch.ones(2, frames, dtype=torch.bool)
    return Inputs({"video": video}, mask, torch.from_numpy(np.stack([model.speaker.voice(None)] * 2)))


def test_it_is_heard_where_the_encoder_leaves_it_out(tiny):
    found = []
    for sets in ([], [ON]):
        model = build_model(load_config(tiny, sets), "v2a", ["s0", "s1"]).eval()
        assert model.decoder.in_dim == model.encoder.out_dim + (model.speaker.out_dim if sets else 0)
        with torch.no_grad():
            width = model.speaker.out_dim
            next(p for p in model.encoder.parameters() if p.ndim == 2)[:, -width:] = 0
            inputs = inputs_of(model)
            voices = [replace(inputs, speaker=torch.full_like(inputs.speaker, number)) for number in (0, 1)]
            one, other = (model(each).stream(model.output) for each in voices)
            features = model.encode(model.features(inputs), inputs.speaker, inputs.mask)
            decoded = model.decode(features, inputs.speaker, inputs.mask)
        assert torch.allclose(decoded, model(inputs).stream(model.output), atol=1e-5)
        found.append(torch.equal(one, other))
    assert found == [True, False]


def test_encoder_and_decoder_get_the_same_embedding_also_where_it_is_dropped_out(tiny):
    speaker = "networks.speaker={type: d_vector, dropout: 0.5}"
    model = build_model(load_config(tiny, [ON, speaker]), "v2a", []).train()
    torch.nn.init.ones_(model.speaker.unknown)
    got = {}
    for name in ("encoder", "decoder"):
        getattr(model, name).register_forward_pre_hook(lambda _, given, name=name: got.update({name: given[0]}))
    inputs = inputs_of(model)
    inputs = replace(inputs, speaker=torch.randn_like(inputs.speaker))
    dropped = set()
    for _ in range(20):
        model(inputs)
        encoder, decoder = (got[name][..., -model.speaker.out_dim :] for name in ("encoder", "decoder"))
        assert torch.equal(encoder, decoder)
        dropped |= {bool((row == 1).all()) for row in encoder}
    assert dropped == {True, False}


def test_without_embedding_it_is_an_error_but_not_of_a_stored_model_that_ignored_it(tiny):
    config = load_config(tiny, [ON, "networks.speaker={type: none}"])
    with pytest.raises(UserError, match=r"networks.decoder_speaker: the speaker component 'none' .* leave the key out"):
        build_model(config, "v2a", [])
    model = build_model(check_config(to_tree(config)), "v2a", [])
    assert not model.decoder_speaker and model.decoder.in_dim == model.encoder.out_dim


@pytest.fixture
def streaming_run(tmp_path):
    networks = {
        "visual_frontend": {**TINY["networks"]["visual_frontend"], "look_ahead_frames": 1},
        "encoder": {**TINY["networks"]["encoder"], "blocks": 2, "look_ahead_frames": 3, "attention_frames": 5},
        "decoder": {**ISTFT, "look_ahead_frames": 1},
        "decoder_speaker": True,
    }
    return untrained_run(tmp_path, **networks)


def assert_same_speech_frame_by_frame(synthesiser, wanted: np.ndarray) -> None:
    crops = moving(40)
    live = synthesiser.pipeline(synthesiser.voice("s1"))
    for sound in (
        np.concatenate([*(live.push(crop[None]) for crop in crops), live.finish()]),
        synthesiser.synthesise_crops(crops, synthesiser.voice("s1")),
    ):
        assert np.abs(sound - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_frame_by_frame_it_gives_the_same_speech(streaming_run):
    model = v2skit.load(streaming_run, "cpu")
    wanted, other = (model.synthesise_crops(moving(40), model.voice(name)) for name in ("s1", "s0"))
    assert np.abs(wanted - other).max() > 1e-2 * np.abs(wanted).max()
    assert_same_speech_frame_by_frame(model, wanted)


def test_exported_it_gives_the_same_speech(streaming_run):
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    model = v2skit.load(streaming_run, "cpu")
    same = synthesiser_of(export_model(streaming_run))
    assert_same_speech_frame_by_frame(same, model.synthesise_crops(moving(40), model.voice("s1")))
