"""Data directories with utterances in other voices."""

import numpy as np
import pytest

from tests.conftest import make_d_vectors, make_data, stages
from v2skit.cli.main import main
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio
from v2skit.models.speakers import d_vector, stored_vectors
from v2skit.recipes import voices
from v2skit.recipes.subsets import check_source
from v2skit.signal.voice import shift_voice


def test_each_utterance_is_there_in_its_voice_and_in_each_other_one(tmp_path, capsys):
    whole = {u.id: u for u in make_data(tmp_path / "train", 4)}
    assert main(["data", "voices", str(tmp_path / "train"), "--factors", "0.85", "1.184"]) == 0
    out = tmp_path / "train_voices"
    assert f"{out}: 12 utterances, 0.00 h, 6 voices" in capsys.readouterr().out
    found = {u.id: u for u in read_manifest(out)}
    assert sorted(found) == sorted(f"{key}{at}" for key in whole for at in ("", "@0.85", "@1.18"))
    for u in found.values():
        name, _, factor = u.id.partition("@")
        of = whole[name]
        assert (u.video.resolve(), u.text, u.frames) == (of.video.resolve(), of.text, of.frames)
        assert u.speaker == of.speaker + (f"@{factor}" if factor else "")
        audio, before = read_audio(u.audio, 24000), read_audio(of.audio, 24000)
        if factor:
            assert np.abs(audio - shift_voice(before, float(factor), 24000)).max() < 1e-4
        else:
            assert u.audio.resolve() == of.audio.resolve()
    stored = (out / "wav.scp").stat()
    assert main(["data", "voices", str(tmp_path / "train")]) == 0 and (out / "wav.scp").stat() == stored
    make_data(tmp_path / "train", 3)  # prepared again
    assert main(["data", "voices", str(tmp_path / "train")]) == 1
    command = f"v2skit data voices {tmp_path}/train --factors 0.85 1.18 --out {out}"
    assert f"other clips or files now; write it again: rm -r {out} && {command}" in capsys.readouterr().err


def test_what_makes_no_voice_is_refused_and_nothing_is_written(tmp_path, capsys):
    make_data(tmp_path / "train", 2, video=False)
    for factors in (["1"], ["0.9", "1.001"], ["3"], ["nan"], ["0.1"]):
        assert main(["data", "voices", str(tmp_path / "train"), "--factors", *factors]) == 1
        assert "must be from 0.5 to 2 and not 1, e.g. 0.85 1.18" in capsys.readouterr().err
    (tmp_path / "train/wav.scp").unlink()
    assert main(["data", "voices", str(tmp_path / "train")]) == 1
    assert "train has no audio of 's0-0000'; give a data directory whose" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_other_factors_and_further_voices_of_voices_are_refused(tmp_path, capsys):
    make_data(tmp_path / "train", 2, video=False)
    assert main(["data", "voices", str(tmp_path / "train")]) == 0
    assert main(["data", "voices", str(tmp_path / "train"), "--factors", "0.9"]) == 1
    made = f"{tmp_path}/train_voices exists, and is made by v2skit data voices --factors 0.85 1.18; name another folder"
    assert made in capsys.readouterr().err
    assert main(["data", "voices", str(tmp_path / "train_voices"), "--factors", "0.85"]) == 1
    assert "train_voices has an utterance 's0-0000@0.85' already; give the data directory" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["train", "train_voices"]


def test_what_was_interrupted_goes_on(tmp_path, monkeypatch):
    make_data(tmp_path / "train", 4, video=False)
    done = []

    def stopped(waveform, factor, rate):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(factor)
        return shift_voice(waveform, factor, rate)

    monkeypatch.setattr(voices, "shift_voice", stopped)
    assert main(["data", "voices", str(tmp_path / "train")]) == 130
    monkeypatch.setattr(voices, "shift_voice", lambda *a: done.append(a[1]) or shift_voice(*a))
    assert main(["data", "voices", str(tmp_path / "train")]) == 0 and len(done) == 8
    out = tmp_path / "train_voices"
    assert len(read_manifest(out)) == 12 and not (out / "made_by").exists()
    assert all(u.audio.is_file() for u in read_manifest(out))


def test_a_record_that_is_damaged_is_named(tmp_path):
    make_data(tmp_path / "train", 2, video=False)
    assert main(["data", "voices", str(tmp_path / "train")]) == 0
    settings = tmp_path / "train_voices/settings.json"
    settings.write_text(settings.read_text().replace("0.85", '"a"'))
    with pytest.raises(UserError, match="settings.json is damaged"):
        check_source(tmp_path / "train_voices")


def test_training_reads_it_with_the_d_vectors_of_its_voices(recipe_folder, tiny, monkeypatch):
    embedded = []

    def embed(utterances, rate):
        for u in utterances:
            embedded.append(u.speaker)
            yield u.id, np.random.default_rng(len(embedded)).standard_normal(stored_vectors.DIM)

    monkeypatch.setattr(d_vector, "_embed", embed)
    data = recipe_folder / "data"
    for name in ("train", "valid", "test"):
        make_d_vectors(data / name)
    assert main(["data", "voices", str(data / "train")]) == 0
    sets = ("scratch=false", "networks.speaker={type: d_vector}", "data.train=train_voices")
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", sets=sets) == 0
    assert {"s0", "s0@0.85", "s0@1.18"} <= set(embedded)
    check_source(data / "train_voices")
