"""An exported model synthesises the speech of its checkpoint, and what can't be exported is refused by name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

import v2skit
from tests.cases.model import untrained_run
from tests.conftest import ISTFT, TINY, vocoder_config
from tests.media_files import every, make_video
from tests.synthesis.live.conftest import moving
from v2skit.cli.main import main
from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.hub.installed import installed_models
from v2skit.models import checkpoint
from v2skit.models.build import build_new_vocoder
from v2skit.models.pack_header import Card
from v2skit.models.package import describe, pack
from v2skit.models.vocoders.trained import Trained
from v2skit.synthesis.exported import export as exporting
from v2skit.synthesis.exported.export import FRAMES, OTHER_FRAMES, export_model, network_graph
from v2skit.synthesis.exported.load import synthesiser_of
from v2skit.synthesis.exported.traced import Traced, traced_networks

TOLERANCE = 1e-3
"""Deviation of samples in parts of the loudest; the outputs of single networks deviate by some 1e-6."""


def assert_same_speech(found: np.ndarray, wanted: np.ndarray) -> None:
    assert found.shape == wanted.shape and found.dtype == np.float32
    assert np.abs(found - wanted).max() <= TOLERANCE * np.abs(wanted).max()


@pytest.mark.parametrize("voice", [None, "s1"])
def test_it_synthesises_the_speech_of_the_checkpoint_for_every_length(exported, voice):
    run, file = exported
    model, same = v2skit.load(run, "cpu"), v2skit.load(file)
    assert same.voices == model.voices == ["s0", "s1"] and same.digest == model.digest
    for frames in (1, 2, 90, 720):  # the last in windows
        crops = moving(frames)
        wanted = model.synthesise_crops(crops, model.voice(voice))
        assert_same_speech(same.synthesise_crops(crops, same.voice(voice)), wanted)
    other = model.synthesise_crops(crops, model.voice("s0"))
    assert np.abs(other - wanted).max() > 10 * TOLERANCE * np.abs(wanted).max()  # the voice is an input


def test_the_command_synthesises_with_the_file(exported, tmp_path, capsys):
    run, file = exported
    video = make_video(tmp_path / "clip.mp4", every(25, 1), (96, 96))
    sounds = []
    for model in (run, file):
        out = tmp_path / f"{model.stem}.wav"
        assert main(["synth", str(video), "--model", str(model), "-o", str(out), "--device", "cpu"]) == 0
        sounds.append(soundfile.read(out, dtype="float32")[0])
    assert_same_speech(*sounds)
    capsys.readouterr()
    for wrong, remedy in (
        (["--backend", "torch"], "leave --backend out"),
        (["--device", "cuda"], "leave --device out"),
        (["--vocoder", str(run)], "v2skit export --vocoder"),
    ):
        assert main(["synth", str(video), "--model", str(file), "-o", str(tmp_path / "no.wav"), *wrong]) == 1
        assert remedy in capsys.readouterr().err


def test_the_backend_exports_a_model_that_is_no_file(exported, tmp_path):
    run, _ = exported
    model = v2skit.load(run, backend="onnx")
    assert_same_speech(
        model.synthesise_crops(moving(12), model.voice(None)),
        v2skit.load(run, "cpu").synthesise_crops(moving(12), model.voice(None)),
    )


def test_any_runtime_runs_the_whole_graph(exported):
    import onnxruntime

    run, file = exported
    model, session = v2skit.load(run, "cpu"), onnxruntime.InferenceSession(file)
    assert [value.name for value in session.get_inputs()] == ["video", "voice"]
    video = torch.randn(1, 9, 1, 88, 88)
    (waveform,) = session.run(["waveform"], {"video": video.numpy(), "voice": model.voice("s0")[None]})
    mask = torch.ones(1, 9, dtype=torch.bool)
    with torch.no_grad():
        features = model.model.frontend(video, mask)
        encoded = model.model.encode(features, torch.tensor([1]), mask)
        wanted = model.model.decode(encoded, torch.tensor([1]), mask)
    assert_same_speech(waveform, wanted.numpy())


def test_info_names_the_same_mouth_crops_as_of_a_pack(exported, capsys):
    assert main(["info", str(exported[1])]) == 0
    signals = "25 frames/s, mouth crops of 96 pixels, of which the networks see the central 88\n"
    assert signals in capsys.readouterr().out


def test_the_file_does_not_tell_where_it_was_made(exported):
    content = exported[1].read_bytes()
    assert b"tests/" not in content and b"site-packages" not in content and b"decoder.py" not in content


@pytest.mark.skipif(not installed_models(), reason="no model is installed")
def test_the_installed_model_synthesises_the_same_speech(onnx, tmp_path):
    """With d-vectors, dual normalisation, a sampled mel and a trained vocoder."""
    file = tmp_path / "grid.onnx"
    assert main(["export", "-o", str(file)]) == 0
    model, same = v2skit.load(device="cpu"), v2skit.load(file)
    assert same.voices == model.voices and same.default_voice == model.default_voice
    assert same.card == model.card and same.accepts_recording
    for frames, voice in ((3, None), (130, model.voices[-1])):
        crops = moving(frames)
        wanted = model.synthesise_crops(crops, model.voice(voice))
        assert_same_speech(same.synthesise_crops(crops, same.voice(voice)), wanted)


def test_a_pack_in_int8_is_exported(onnx, tmp_path):
    path, file = tmp_path / "tiny.v2s", tmp_path / "tiny.onnx"
    pack(untrained_run(tmp_path, decoder={**ISTFT, "dim": 32}), path, None, Card(), precision="int8")
    assert describe(path).count("weights:   int8") == 1
    assert main(["export", str(path), "-o", str(file)]) == 0
    model, same = v2skit.load(path, "cpu"), v2skit.load(file)
    assert same.digest == model.digest
    crops = moving(12)
    assert_same_speech(same.synthesise_crops(crops, same.voice(None)), model.synthesise_crops(crops, model.voice(None)))


@pytest.mark.parametrize("look_ahead_in", ["attention", "convolution"])
def test_a_streaming_encoder_is_exported_layer_by_layer(look_ahead_in, onnx, tmp_path):
    context = {"look_ahead_frames": 3, "attention_frames": 5, "look_ahead_in": look_ahead_in}
    networks = {
        "visual_frontend": {**TINY["networks"]["visual_frontend"], "look_ahead_frames": 1},
        "encoder": {**TINY["networks"]["encoder"], "blocks": 2, "conv_kernel": 5, **context},
        "decoder": {**ISTFT, "look_ahead_frames": 1},
        "speaker": {"type": "none"},
    }
    run = untrained_run(tmp_path, **networks)
    model, file = v2skit.load(run, "cpu"), export_model(run)
    same = synthesiser_of(file)
    assert list(file.header.networks) == ["frontend", "encoder.1", "encoder.2", "encoder.3", "decoder"]
    assert [value.name for value in file.model.graph.input] == ["video"]  # there is no voice
    crops, sounds = moving(40), []
    for synthesiser in (same, model):
        crop = replace(synthesiser.config.crop, look_ahead_frames=1)
        synthesiser.config = replace(synthesiser.config, crop=crop)
        live = synthesiser.pipeline(synthesiser.voice(None), chunk=1)
        assert live.right_context_frames == 1 + 3 + 1
        pieces = [live.push(crop[None]) for crop in crops]  # frame by frame, as of a camera
        assert [len(piece) for piece in pieces] == [0] * 5 + [960] * 35
        sounds.append(np.concatenate([*pieces, live.finish()]))
    assert_same_speech(*sounds)


def exported_network(run: Path, name: str) -> None:
    """Export one network of a model."""
    model = v2skit.load(run, "cpu")
    values, others = (exporting.example_clip(model, frames) for frames in (FRAMES, OTHER_FRAMES))
    for traced in traced_networks(model):
        if traced.name == name:
            network_graph(traced, values, others)
            return
        traced.compute(values)
        traced.compute(others)
    raise AssertionError(f"there is no network {name}")


@pytest.mark.parametrize(
    ("network", "key", "component"),
    [
        ("frontend", "visual_frontend", {"type": "resnet3d", "channels": [4, 8], "blocks": 1}),
        ("decoder", "decoder", {"type": "mel_linear"}),
        ("decoder", "decoder", {"type": "flow_mel", "dim": 8, "blocks": 1, "steps": 2, "temperature": 1.0}),
        ("decoder", "decoder", {"type": "hifigan", "channels": 16, "kernels": [3], "dilations": [1]}),
        ("decoder", "decoder", {"type": "wavegan", "channels": 16}),
    ],
)
def test_components_that_can_be_exported(onnx, tmp_path, network, key, component):
    exported_network(untrained_run(tmp_path, **{key: component}), network)


@pytest.mark.parametrize(
    ("network", "networks", "message"),
    [
        ("encoder", {"encoder": {"type": "bigru", "layers": 1, "dim": 4}}, "encoder 'bigru' can't be .*another one"),
        ("vocoder", {}, "vocoder 'griffin_lim' can't be .*give a trained one with --vocoder"),
    ],
)
def test_a_component_that_can_not_be_exported_is_named(onnx, tmp_path, network, networks, message):
    with pytest.raises(UserError, match=message):
        exported_network(untrained_run(tmp_path, **networks), network)


class Counting(nn.Module):
    """Adds the number of its call, which an export has as a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = iter(range(1, 100))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return x + next(self.numbers)


def test_a_network_that_computes_something_else_in_onnxruntime_is_refused(onnx):
    module = Counting()
    traced = Traced("encoder", "encoder 'counting'", module, module, ["x"], "y")
    with pytest.raises(UserError, match="encoder 'counting' can't .*onnxruntime's output is not torch's"):
        network_graph(traced, {"x": torch.ones(1, 4, 2)}, {"x": torch.ones(1, 9, 2)})


def test_a_vocoder_with_mel_correction_is_refused_before_any_work(tiny, tmp_path):
    config = load_config(vocoder_config(tmp_path, tiny))
    meta, vocoder = checkpoint.new_meta(config, "vocoder", []), tmp_path / "vocoder"
    checkpoint.save(
        checkpoint.Checkpoint(meta, build_new_vocoder(config).state_dict()), vocoder / "checkpoint-00000001"
    )
    run = untrained_run(tmp_path)
    message = r"vocoder 'trained' can't be exported to ONNX \(torch exports its mel correction for clips of one length "
    with pytest.raises(
        UserError, match=rf"{message}only\); give a trained one with --vocoder RUN that needs no mel cor"
    ):
        export_model(run, vocoder)
    assert not hasattr(Trained(config.clock, config.mel, str(vocoder), corrections=0), "export_obstacle")
