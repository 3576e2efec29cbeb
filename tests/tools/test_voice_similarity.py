"""The table of named voices and of those that the speech has."""

import importlib.util
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import v2skit
from tests.conftest import ROOT, make_data
from v2skit.errors import UserError

VOICES = dict(zip(("anna", "ben"), np.eye(256, dtype=np.float32)[:2], strict=True))


class Model:
    """Its speech is that of the named voice, or always anna's."""

    sample_rate, accepts_recording = 24000, True

    def __init__(self, follows, voices=VOICES):
        self.follows, self.packed_voices = follows, voices

    def voice(self, name):
        return self.packed_voices[name]

    def synthesise_crops(self, crops, speaker):
        assert len(crops) >= 10
        return speaker if self.follows else VOICES["anna"]


def embedded(waveform, rate):
    return 2 * waveform if waveform.any() else None


def printed(monkeypatch, capsys, folder, model):
    spec = importlib.util.spec_from_file_location("voice_similarity", ROOT / "tools/voice_similarity.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    monkeypatch.setattr(v2skit, "load", lambda path, device: model)
    monkeypatch.setattr(tool, "voice_encoder", lambda: embedded)
    monkeypatch.setattr(sys, "argv", ["voice_similarity.py", str(folder), "model.v2s", "--clips", "3"])
    tool.main()
    shown = capsys.readouterr()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.out.splitlines()]
    return rows, shown.err.splitlines()


@pytest.mark.parametrize(
    ("follows", "second"), [(True, ["0.00", "1.00", "3 of 3"]), (False, ["1.00", "0.00", "0 of 3"])]
)
def test_rows_are_the_named_voices_and_columns_those_of_the_speech(monkeypatch, capsys, tmp_path, follows, second):
    make_data(tmp_path / "test", 5)
    (head, _, *rows), errors = printed(monkeypatch, capsys, tmp_path / "test", Model(follows))
    assert not errors
    assert head == ["named", "anna", "ben", "clips nearest to it"]
    assert rows == [["anna", "1.00", "0.00", "3 of 3"], ["ben", *second]]


def test_a_model_with_one_voice_or_a_table_is_refused(monkeypatch, capsys, tmp_path):
    make_data(tmp_path / "test", 2)
    table = SimpleNamespace(packed_voices=VOICES, accepts_recording=False)
    for model in (Model(True, {"anna": VOICES["anna"]}), table):
        with pytest.raises(UserError, match="model.v2s has no two d-vectors as voices; pack it with --voices DIR"):
            printed(monkeypatch, capsys, tmp_path / "test", model)


def test_speech_without_a_voice_is_left_out_and_counted(monkeypatch, capsys, tmp_path):
    make_data(tmp_path / "test", 3)
    silence = np.zeros(256, np.float32)
    anna, ben = VOICES.values()
    speech = iter([anna, silence, ben, silence, silence, silence])
    monkeypatch.setattr(Model, "synthesise_crops", lambda self, crops, speaker: next(speech))
    (_, _, *rows), errors = printed(monkeypatch, capsys, tmp_path / "test", Model(True))
    assert rows == [["anna", "0.50", "0.50", "1 of 2"], ["ben", "-", "-", "0 of 0"]]
    text = "{}: the speech of {} of 3 clips has no d-vector, they are left out"
    assert errors == [text.format("anna", 1), text.format("ben", 3)]


def test_a_directory_without_video_is_refused(monkeypatch, capsys, tmp_path):
    make_data(tmp_path / "test", 2, video=False)
    with pytest.raises(UserError, match="test has no clips with video; give a data directory with mouth crops"):
        printed(monkeypatch, capsys, tmp_path / "test", Model(True))
