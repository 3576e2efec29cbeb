"""A model with d-vectors, from pre-training to packed voices; the unknown voice moves with its part."""

import json

import torch
import yaml

import v2skit
from tests.conftest import make_d_vectors, stages
from v2skit.cli.main import main
from v2skit.models import checkpoint

SETS = ("networks.speaker={type: d_vector, dropout: 0.5}", "transfer.speaker={}", "scratch=false")


def test_from_pretraining_to_packed_voices(recipe_folder, tiny, tmp_path, capsys):
    for folder in (recipe_folder / "data").iterdir():
        make_d_vectors(folder)
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", "synth", sets=SETS) == 0
    exp = recipe_folder / "exp/tiny"
    unknown = {
        name: checkpoint.load(checkpoint.best(exp / name)).weights["speaker.unknown"]
        for name in ("pretrain", "finetune")
    }
    assert all(vector.any() for vector in unknown.values()) and not torch.equal(*unknown.values())
    ledger = json.loads((exp / "transfer/ledger.json").read_text())
    assert ledger["shares"]["speaker"] == 1.0
    a2a, init = checkpoint.load(checkpoint.best(exp / "pretrain")), checkpoint.load(exp / "transfer/init")
    assert torch.equal(init.weights["speaker.unknown"], a2a.averaged["speaker.unknown"])
    assert len(list((exp / "synth/pretrained").glob("*.wav"))) == 3
    pack = ["pack", str(exp), "-o", str(tmp_path / "model.v2s"), "--voices", str(recipe_folder / "data/train")]
    assert main(pack) == 0
    model = v2skit.load(tmp_path / "model.v2s", "cpu")
    assert model.voices == ["s0", "s1"] and model.default_voice == "unknown voice"


def test_an_encoder_of_another_scale_is_not_transferred(recipe_folder, tiny, capsys):
    for folder in (recipe_folder / "data").iterdir():
        make_d_vectors(folder)
    before = ("networks.speaker={type: d_vector, dropout: 0, scale: 1}", "scratch=false")
    assert stages(recipe_folder, tiny, "pretrain", sets=before, more=("--exp", str(recipe_folder / "exp/old"))) == 0
    now = ("networks.speaker={type: d_vector}", "scratch=false", f"pretrained={recipe_folder / 'exp/old'}")
    assert stages(recipe_folder, tiny, "transfer", sets=now) == 1
    assert "networks.speaker.scale 1.0, and this config has 16.0; --set networks" in capsys.readouterr().err
    assert stages(recipe_folder, tiny, "transfer", sets=(*now, "networks.speaker.scale=1")) == 0
    more = ("--exp", str(recipe_folder / "exp/new"))
    assert stages(recipe_folder, tiny, "transfer", sets=(*now, "transfer.encoder=null"), more=more) == 0


def test_a_pretrained_model_without_the_unknown_voice_is_named(recipe_folder, tiny, capsys):
    for folder in (recipe_folder / "data").iterdir():
        make_d_vectors(folder)
    before = ("networks.speaker={type: d_vector, dropout: 0, scale: 1}", "scratch=false")
    assert stages(recipe_folder, tiny, "pretrain", sets=before, more=("--exp", str(recipe_folder / "exp/old"))) == 0
    given = f"pretrained={recipe_folder / 'exp/old'}"
    assert stages(recipe_folder, tiny, "transfer", sets=(*SETS, "networks.speaker.scale=1", given)) == 1
    assert "speaker.unknown: A2A does not have it" in capsys.readouterr().err
    assert stages(recipe_folder, tiny, "transfer", sets=(*before, given)) == 0


def test_a_run_of_an_earlier_version_is_not_continued_with_other_settings(recipe_folder, tiny, capsys):
    for folder in (recipe_folder / "data").iterdir():
        make_d_vectors(folder)
    before = "networks.speaker={type: d_vector, dropout: 0, scale: 1}"
    assert stages(recipe_folder, tiny, "pretrain", sets=(before,)) == 0
    record = recipe_folder / "exp/tiny/pretrain/config.yaml"
    stored = yaml.safe_load(record.read_text())
    stored["networks"]["speaker"] = {"type": "d_vector", "clips": 10}
    record.write_text(yaml.safe_dump(stored))
    assert stages(recipe_folder, tiny, "pretrain", sets=SETS[:1]) == 1
    assert "networks.speaker.dropout: 0.0 there, 0.5 now" in capsys.readouterr().err
    assert stages(recipe_folder, tiny, "pretrain", sets=(before,)) == 0
    assert "pretrain is finished, skipped" in capsys.readouterr().out
