"""A model with d-vectors, from pre-training to packed voices; the unknown voice moves with its part."""

import json
import pickle

import numpy as np
import torch
import yaml

import v2skit
from tests.conftest import ROOT, make_d_vectors, stages
from tests.miniatures import clip
from v2skit.cli.main import main
from v2skit.models import checkpoint
from v2skit.models.speakers import d_vector, stored_vectors
from v2skit.models.speakers.d_vector import DVector

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


def test_the_only_test_clip_of_a_talker_has_the_voice_of_the_training_clips(tmp_path, monkeypatch):
    parts = {"train": ["bbaf1a", "bbaf1n", "bbaf1p"], "valid": ["bbaf8s", "bbaf9n"], "test": ["bbat4a"]}
    ids = {part: [f"s1-{name}" for name in names] for part, names in parts.items()}
    every = [utterance for part in ids.values() for utterance in part]
    for utterance in every:
        clip(tmp_path / f"grid/{utterance.replace('-', '/')}.mp4")
    unit = np.eye(len(every), stored_vectors.DIM)
    monkeypatch.setattr(d_vector, "_embed", lambda clips, rate: ((u.id, unit[every.index(u.id)]) for u in clips))
    config = {
        "base": str(ROOT / "egs/grid/conf/mel.yaml"),
        "corpus": {"corpus_dir": "grid"},
        "tracker": {"type": "none"},
        "networks": {"speaker": {"type": "d_vector"}},
        "prepare": {"jobs": 1},
    }
    (tmp_path / "voices.yaml").write_text(yaml.safe_dump(config))
    assert stages(tmp_path, tmp_path / "voices.yaml", "prepare") == 0

    def sources(part: str, utterance: str) -> set[str]:
        """The clips whose d-vectors were averaged."""
        reader = pickle.loads(pickle.dumps(DVector().reader(tmp_path / "data/s1" / part)))
        return {every[number] for number in np.flatnonzero(reader(utterance, "s1"))}

    for part in ("train", "valid"):
        assert all(sources(part, utterance) == {*ids[part]} - {utterance} for utterance in ids[part])
    assert sources("test", ids["test"][0]) == set(ids["train"])


def test_the_training_data_are_linked_only_where_they_have_other_clips(tmp_path):
    clips = {"train": {"a": ["a-1"], "b": ["b-1"]}, "test": {"a": ["a-1"], "b": ["b-2"], "c": ["c-1"]}}
    for name, speakers in clips.items():
        (tmp_path / name).mkdir()
        ids = sorted(utterance for names in speakers.values() for utterance in names)
        vectors = np.eye(len(ids), stored_vectors.DIM)
        stored_vectors.write(tmp_path / name, speakers, zip(ids, vectors, strict=True))
    before = DVector().reader(tmp_path / "test").digest
    DVector().link(tmp_path / "test", tmp_path / "train")
    reader = DVector().reader(tmp_path / "test")
    assert np.array_equal(reader("b-2", "b"), np.eye(stored_vectors.DIM)[1]) and reader.digest != before
    assert not reader("a-1", "a").any() and not reader("c-1", "c").any(), "a clip never has its own d-vector"
    stored_vectors.write(tmp_path / "train", {"a": ["a-1"]}, [("a-1", np.eye(stored_vectors.DIM)[0])])
    DVector().link(tmp_path / "test", tmp_path / "train")
    assert not DVector().reader(tmp_path / "test")("b-2", "b").any(), "there is no other clip any more"


def test_models_whose_decoders_have_the_embedding_and_others_are_told_apart(recipe_folder, tiny, capsys):
    for folder in (recipe_folder / "data").iterdir():
        make_d_vectors(folder)
    sets = ("networks.speaker={type: d_vector}", "scratch=false")
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 0
    assert stages(recipe_folder, tiny, "pretrain", sets=(*sets, "networks.decoder_speaker=true")) == 1
    assert "networks.decoder_speaker: False there, True now" in capsys.readouterr().err


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
