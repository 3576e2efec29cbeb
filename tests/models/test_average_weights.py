"""The mean of the weights of two models."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from tests.cases.model import untrained_run
from tests.conftest import TINY, vocoder_config
from v2skit.cli.main import main
from v2skit.config.load import load_config
from v2skit.hub import installed
from v2skit.models import checkpoint
from v2skit.models.build import build_new_vocoder
from v2skit.models.pack_header import Card
from v2skit.models.package import pack


def weights(run):
    return checkpoint.load(checkpoint.folder_in(run, "")).inference_weights


@pytest.fixture
def runs(tmp_path):
    """Two runs of the same networks with other weights."""
    for name in ("fine-tuned", "before"):
        (tmp_path / name).mkdir()
    found = [untrained_run(tmp_path / name) for name in ("fine-tuned", "before")]
    folder = checkpoint.folder_in(found[1], "")
    saved = checkpoint.load(folder)
    for value in saved.weights.values():
        if value.is_floating_point():
            value.add_(torch.randn_like(value))
    saved.averaged = None
    checkpoint.save(saved, folder)
    return found


def test_an_installed_model_is_one_of_two(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(installed, "FOLDER", tmp_path)
    pack(runs[1], tmp_path / "grid.v2s", None, Card())
    assert main(["average", str(runs[0]), "installed:grid", "-o", str(tmp_path / "a.safetensors")]) == 0
    assert main(["average", *map(str, runs), "-o", str(tmp_path / "b.safetensors")]) == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_it_is_between_both_and_init_reads_it(runs, tmp_path, capsys):
    out = tmp_path / "new/mean.safetensors"
    assert main(["average", *map(str, runs), "--share", "0.25", "-o", str(out)]) == 0
    assert f"{out}: " in capsys.readouterr().out
    assert main(["average", *map(str, runs), "-o", str(out)]) == 1
    assert f"{out} exists; name another file with -o, or replace it with --force" in capsys.readouterr().err
    ours, theirs = map(weights, runs)
    mean = load_file(out)
    assert mean.keys() == ours.keys()
    assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
    for name, value in mean.items():
        wanted = 0.25 * ours[name] + 0.75 * theirs[name] if value.is_floating_point() else ours[name]
        assert torch.allclose(value, wanted, atol=1e-5), name


def test_what_has_no_mean_is_refused_and_nothing_is_written(runs, tmp_path, capsys):
    (tmp_path / "wider").mkdir()
    wider = untrained_run(tmp_path / "wider", encoder={**TINY["networks"]["encoder"], "dim": 32})
    scales = []
    for scale in (1.0, 16.0):
        (tmp_path / f"scale{scale:g}").mkdir()
        scales.append(untrained_run(tmp_path / f"scale{scale:g}", speaker={"type": "d_vector", "scale": scale}))
    for arguments, wrong in (
        ([*runs, "--share", "1"], "share 1 must be above 0 and below 1"),
        ([runs[0], wider], "have different networks (networks.encoder.dim)"),
        (scales, "have different networks (networks.speaker.scale)"),
        ([runs[0], tmp_path / "absent"], "absent"),
    ):
        assert main(["average", *map(str, arguments), "-o", str(tmp_path / "mean.safetensors")]) == 1
        assert wrong in capsys.readouterr().err
    assert main(["average", *map(str, runs), "-o", str(tmp_path / "mean.pt")]) == 1
    assert "ends in .safetensors" in capsys.readouterr().err
    assert not list(tmp_path.glob("mean*"))


def saved_runs(tmp_path, part, *choices):
    """Runs whose networks differ in one part."""
    runs = []
    for number, choice in enumerate(choices):
        (tmp_path / f"{part}{number}").mkdir()
        runs.append(untrained_run(tmp_path / f"{part}{number}", **{part: choice}))
    return runs


ENCODER = TINY["networks"]["encoder"]
FLOW = {"type": "flow_mel", "dim": 8, "blocks": 1}


@pytest.mark.parametrize(
    ("part", "choices", "key"),
    [
        ("encoder", (ENCODER, {**ENCODER, "look_ahead_frames": 3, "attention_frames": 9}), "encoder.look_ahead_frames"),
        ("visual_frontend", ({"type": "resnet3d_small", "look_ahead_frames": n} for n in (2, 1)), "look_ahead_frames"),
        ("decoder", ({"type": "mel_linear", "std": std} for std in (2.5, 5.0)), "networks.decoder.std"),
        ("decoder", ({**FLOW, "residual_std": std} for std in (0.28, 0.3)), "networks.decoder.residual_std"),
        ("decoder", ({**FLOW, "look_ahead_frames": 2, "steps": n} for n in (1, 8)), "look-ahead of networks.decoder"),
        ("speaker", ({"type": "d_vector", "dropout": share} for share in (0.0, 0.1)), "speaker.unknown"),
    ],
)
def test_weights_of_the_same_shapes_that_compute_something_else_have_no_mean(tmp_path, capsys, part, choices, key):
    runs = saved_runs(tmp_path, part, *choices)
    assert main(["average", *map(str, runs), "-o", str(tmp_path / "mean.safetensors")]) == 1
    message = capsys.readouterr().err
    assert "have different networks (" in message and f"{key}); give models of one config" in message
    assert not list(tmp_path.glob("mean*"))


@pytest.mark.parametrize(
    ("part", "choices"),
    [
        ("encoder", ({**ENCODER, "dropout": share} for share in (0.0, 0.3))),
        ("decoder", ({**FLOW, "steps": n, "seed": n, "temperature": n - 1.0, "prior_weight": n} for n in (1, 8))),
        ("speaker", ({"type": "d_vector", "dropout": share, "clips": 9} for share in (0.1, 0.2))),
        ("audio_frontend", ({"type": "mel_conv", "channels": [4], "std": std} for std in (2.0, 3.0))),
    ],
)
def test_what_only_training_synthesis_or_the_other_task_has_may_differ(tmp_path, part, choices):
    runs = saved_runs(tmp_path, part, *choices)
    assert main(["average", *map(str, runs), "-o", str(tmp_path / "mean.safetensors")]) == 0


def test_an_earlier_version_need_not_have_stored_the_keys_of_this_one(runs, tmp_path):
    folder = checkpoint.folder_in(runs[1], "")
    saved = checkpoint.load(folder)
    networks = {key: value for key, value in saved.meta.config["networks"].items() if key != "decoder_speaker"}
    saved.meta = replace(saved.meta, config={**saved.meta.config, "networks": networks})
    checkpoint.save(saved, folder)
    assert main(["average", *map(str, runs), "-o", str(tmp_path / "mean.safetensors")]) == 0


def test_vocoders_are_compared_by_their_own_settings(tmp_path, tiny, capsys):
    runs = []
    for number, ahead in enumerate(("null", "null", "2")):
        config = load_config(vocoder_config(tmp_path, tiny), [f"vocoder.look_ahead_frames={ahead}"])
        meta = checkpoint.new_meta(config, "vocoder", [])
        runs.append(tmp_path / f"vocoder{number}/checkpoint-00000001")
        checkpoint.save(checkpoint.Checkpoint(meta, build_new_vocoder(config).state_dict()), runs[-1])
    out = ["-o", str(tmp_path / "mean.safetensors")]
    assert main(["average", str(runs[0]), str(runs[1]), *out]) == 0
    assert main(["average", str(runs[0]), str(runs[2]), *out, "--force"]) == 1
    assert "have different networks (vocoder.look_ahead_frames)" in capsys.readouterr().err


@pytest.mark.parametrize("speaker", ["d_vector", "table"])
def test_other_speakers_matter_only_where_the_weights_have_a_table_of_them(tmp_path, capsys, speaker):
    runs = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        runs.append(untrained_run(tmp_path / name, speaker={"type": speaker}))
        folder = checkpoint.folder_in(runs[-1], "")
        saved = checkpoint.load(folder)
        saved.meta = replace(saved.meta, speakers=[f"{old}{name}" for old in saved.meta.speakers])
        checkpoint.save(saved, folder)
    assert saved.meta.speakers
    status = main(["average", *map(str, runs), "-o", str(tmp_path / "mean.safetensors")])
    assert status == (speaker == "table")
    assert ("different networks (speakers)" in capsys.readouterr().err) == (speaker == "table")
