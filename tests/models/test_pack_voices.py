"""Voices of a packed model: recordings and the speakers of data directories, one of them perhaps the default."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import v2skit
from tests.cases.model import untrained_run
from tests.conftest import make_data
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.models.pack_header import Card
from v2skit.models.pack_voices import VoiceSources
from v2skit.models.package import describe, pack
from v2skit.models.speakers import d_vector
from v2skit.models.speakers.d_vector import DVector


@pytest.fixture
def run(tmp_path):
    return untrained_run(tmp_path, speaker={"type": "d_vector"})


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data directory of the speakers s0 and s1, with d-vectors."""
    made = make_data(tmp_path / "train", video=False)
    random = np.random.default_rng(0)
    vectors = {u.id: random.random(256) / 16 + (u.speaker == "s0") for u in made}
    monkeypatch.setattr(d_vector, "_embed", lambda clips, rate: ((u.id, vectors[u.id]) for u in clips))
    DVector().prepare(tmp_path / "train")
    return tmp_path / "train"


def test_each_speaker_of_a_data_directory_becomes_a_voice(run, data, tmp_path, capsys):
    out = tmp_path / "model.v2s"
    options = ["--voices", str(data), "--default-voice", "s1"]
    assert main(["pack", str(run), "-o", str(out), *options]) == 0
    assert "voices:    s0, s1; default: s1\n" in f"{describe(out)}\n"
    model = v2skit.load(out, "cpu")
    assert model.voices == ["s0", "s1"] and model.default_voice == "s1" and model.accepts_recording
    for name, vector in DVector().voices_of(data).items():
        assert np.array_equal(model.voice(name), vector)
    assert np.array_equal(model.voice(None), model.voice("s1"))
    assert not np.array_equal(model.voice("s0"), model.voice("s1"))
    without = tmp_path / "without.v2s"
    pack(run, without, None, Card(), VoiceSources(directories=[data]))
    model = v2skit.load(without, "cpu")
    assert model.default_voice == "unknown voice" and not model.voice(None).any()


def test_a_speaker_of_a_table_can_be_the_default(tmp_path):
    out = tmp_path / "model.v2s"
    pack(untrained_run(tmp_path), out, None, Card(), VoiceSources(default="s1"))
    model = v2skit.load(out, "cpu")
    assert model.default_voice == "s1" and model.voice(None) == model.voice("s1") != model.voice("s0")


def test_voices_that_can_t_be_packed_are_named(run, data, tmp_path):
    out = tmp_path / "model.v2s"
    for sources, message in (
        (
            VoiceSources(directories=[data], default="s2"),
            "--default-voice: the pack has no voice 's2'; known: s0, s1",
        ),
        (VoiceSources(default="s2"), "has no voice 's2'; name one with --voice or --voices"),
        (VoiceSources(directories=[data, data]), "there is a voice 's0' already; leave one of the two out"),
        (VoiceSources(directories=[tmp_path]), "has no d-vectors; stage 1 of its recipe computes them"),
        (VoiceSources(directories=[tmp_path / "none"]), "none does not exist; give a prepared data directory"),
    ):
        with pytest.raises(UserError, match=message):
            pack(run, out, None, Card(), sources)
    with pytest.raises(UserError, match="makes no voices of a data directory; leave --voices out"):
        pack(untrained_run(tmp_path), out, None, Card(), VoiceSources(directories=[data]))
    assert not out.exists()


def test_a_default_that_is_no_voice_of_the_pack_is_damage(run, data, tmp_path):
    out = tmp_path / "model.v2s"
    pack(run, out, None, Card(), VoiceSources(directories=[data]))
    with safe_open(out, "pt") as file:
        header = json.loads(file.metadata()["v2skit"])
    path = tmp_path / "x.v2s"
    save_file(load_file(out), path, {"v2skit": json.dumps({**header, "default_voice": "s9"})})
    with pytest.raises(UserError, match=r"its default voice 's9' is not in it\); fetch or pack it again"):
        v2skit.load(path, "cpu")
