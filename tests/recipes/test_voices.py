"""Data directories with utterances in other voices."""

import sys

import numpy as np
import pytest

from tests.conftest import make_d_vectors, make_data, stages
from v2skit.cli.main import main
from v2skit.data.data_dir import Utterance, read_manifest, read_settings, write_manifest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio, write_audio
from v2skit.models.speakers import d_vector, stored_vectors
from v2skit.recipes import voices
from v2skit.recipes.subsets import check_source
from v2skit.signal.voice import median_f0, shift_voice

RATE = 24000
OWN = {"s0": 100, "s1": 200}
"""Speaker -> F0, Hz."""


@pytest.fixture(autouse=True)
def praat():
    pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")


def talkers(directory, count: int, own=OWN, video: bool = False) -> list[Utterance]:
    """A prepared data directory of pulses at the F0 of the speaker; noise where that is 0."""
    utterances = make_data(directory, count, video)
    for u in utterances:
        samples = len(read_audio(u.audio, RATE))
        sound = np.random.default_rng(0).normal(0, 0.1, samples)
        if own[u.speaker]:
            sound = np.convolve(np.arange(samples) % (RATE // own[u.speaker]) == 0, 0.3 * np.hanning(24), "same")
        write_audio(u.audio, sound.astype(np.float32), RATE)
    return utterances


def pitches_of(directory) -> dict[str, set[str]]:
    """Id of an utterance -> its further voices."""
    found = {}
    for u in read_manifest(directory):
        name, _, pitch = u.id.partition("@")
        found.setdefault(name, set()).update({pitch} - {""})
    return found


def test_each_utterance_is_there_in_its_voice_and_in_each_other_one(tmp_path, capsys):
    whole = {u.id: u for u in talkers(tmp_path / "train", 4, video=True)}
    command = ["data", "voices", str(tmp_path / "train"), "--pitch", "149.6", "130", "150.4"]
    assert main(command) == 0
    out = tmp_path / "train_voices"
    assert f"{out}: 12 utterances, 0.00 h, 6 voices" in capsys.readouterr().out
    found = {u.id: u for u in read_manifest(out)}
    assert sorted(found) == sorted(f"{key}{at}" for key in whole for at in ("", "@130Hz", "@150Hz"))
    for u in found.values():
        name, at, pitch = u.id.partition("@")
        of = whole[name]
        assert (u.video.resolve(), u.text, u.frames) == (of.video.resolve(), of.text, of.frames)
        assert u.speaker == of.speaker + at + pitch
        audio, before = read_audio(u.audio, RATE), read_audio(of.audio, RATE)
        if pitch:
            assert len(audio) == len(before)
            assert median_f0([audio], RATE) == pytest.approx(float(pitch.removesuffix("Hz")), rel=0.02)
        else:
            assert u.audio.resolve() == of.audio.resolve()
    stored = (out / "wav.scp").stat()
    assert main(command) == 0 and (out / "wav.scp").stat() == stored
    talkers(tmp_path / "train", 3)  # prepared again
    assert main(command) == 1
    command = f"v2skit data voices {tmp_path}/train --pitch 130 150 --each 2 --out {out}"
    assert f"other clips or files now; write it again: rm -r {out} && {command}" in capsys.readouterr().err


def test_formants_follow_by_a_power_of_the_factor(tmp_path, monkeypatch):
    talkers(tmp_path / "train", 2)
    factors = []
    monkeypatch.setattr(voices, "shift_voice", lambda *a: factors.append(a[1:3]) or shift_voice(*a))
    assert main(["data", "voices", str(tmp_path / "train"), "--pitch", "160"]) == 0
    expected = [(1.6, 1.6**0.25), (0.8, 0.8**0.25)]
    assert np.allclose(factors, expected, rtol=0.01)


def test_some_of_the_pitches_are_drawn_for_each_utterance(tmp_path, capsys):
    talkers(tmp_path / "train", 12)
    command = ["data", "voices", str(tmp_path / "train"), "--each", "2"]
    assert main(command) == 0 and main([*command, "--out", str(tmp_path / "again")]) == 0
    found = pitches_of(tmp_path / "train_voices")
    assert len(found) == 12 and {len(some) for some in found.values()} == {2}
    assert set().union(*found.values()) == {"90Hz", "130Hz", "180Hz", "220Hz"}
    assert len({frozenset(some) for some in found.values()}) > 2
    assert pitches_of(tmp_path / "again") == found
    assert "36 utterances" in capsys.readouterr().out


def test_a_pitch_near_the_talkers_own_is_left_out(tmp_path, capsys):
    talkers(tmp_path / "train", 2)
    command = ["data", "voices", str(tmp_path / "train"), "--pitch"]
    assert main([*command, "102", "104", "197"]) == 0
    found = pitches_of(tmp_path / "train_voices")
    assert found == {"s0-0000": {"104Hz", "197Hz"}, "s1-0001": {"102Hz", "104Hz"}}
    assert main([*command, "102", "197", "--each", "1", "--out", str(tmp_path / "one")]) == 0
    assert pitches_of(tmp_path / "one") == {"s0-0000": {"197Hz"}, "s1-0001": {"102Hz"}}
    talkers(tmp_path / "low", 2, {"s0": 100, "s1": 100})
    assert main(["data", "voices", str(tmp_path / "low"), "--pitch", "99", "102"]) == 1
    assert "pitches [99, 102] are those of the speakers themselves; give others, e.g. 90 130" in capsys.readouterr().err
    assert not (tmp_path / "low_voices").exists()


def test_what_makes_no_voice_is_refused_and_nothing_is_written(tmp_path, capsys):
    talkers(tmp_path / "train", 2)
    command = ["data", "voices", str(tmp_path / "train")]
    for pitches, wrong in ((["64"], [64.0]), (["90", "401"], [401.0]), (["nan"], [float("nan")]), (["-90"], [-90.0])):
        assert main([*command, "--pitch", *pitches]) == 1
        assert f"pitches {wrong} must be from 65 to 400 Hz, e.g. 90 130 180 220" in capsys.readouterr().err
    for each in ("0", "-1", "5"):
        assert main([*command, "--each", each]) == 1
        assert f"--each {each} must be from 1 to 4, the number of pitches" in capsys.readouterr().err
    assert main([*command, "--pitch", "130", "130.2", "--each", "2"]) == 1
    assert "--each 2 must be from 1 to 1, the number of pitches" in capsys.readouterr().err
    (tmp_path / "train/wav.scp").unlink()
    assert main(command) == 1
    assert "train has no audio of 's0-0000'; give a data directory whose" in capsys.readouterr().err
    write_manifest(tmp_path / "train", [], read_settings(tmp_path / "train"))
    assert main(command) == 1
    assert "train has no utterances; give a data directory that has some" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["train"]


def test_a_speaker_without_voiced_speech_and_a_missing_package_are_named(tmp_path, capsys, monkeypatch):
    talkers(tmp_path / "train", 6, {"s0": 100, "s1": 0})
    assert main(["data", "voices", str(tmp_path / "train")]) == 1
    message = capsys.readouterr().err
    assert "nothing is voiced in 3 utterances of speaker 's1', e.g. 's1-000" in message
    assert "delete the speaker's utterances from every table of the data directory" in message
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    assert main(["data", "voices", str(tmp_path / "train")]) == 1
    assert "pip install 'v2skit[f0]'" in capsys.readouterr().err
    assert not (tmp_path / "train_voices").exists()


def test_other_pitches_and_further_voices_of_voices_are_refused(tmp_path, capsys):
    talkers(tmp_path / "train", 2)
    assert main(["data", "voices", str(tmp_path / "train")]) == 0
    for change in (["--pitch", "140"], ["--each", "3"]):
        assert main(["data", "voices", str(tmp_path / "train"), *change]) == 1
        made = f"{tmp_path}/train_voices exists, and is made by v2skit data voices --pitch 90 130 180 220 --each 4; "
        assert f"{made}--replace deletes it and writes it again, or name" in capsys.readouterr().err
    assert main(["data", "voices", str(tmp_path / "train_voices"), "--pitch", "150"]) == 1
    message = "train_voices has further voices, as of 's0-0000@130Hz'; give the data directory without these"
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["train", "train_voices"]


def test_replace_writes_it_again_with_other_pitches_or_clips(tmp_path, capsys):
    talkers(tmp_path / "train", 4)
    command = ["data", "voices", str(tmp_path / "train"), "--replace"]
    out = tmp_path / "train_voices"
    assert main([*command, "--pitch", "130"]) == 0
    stored = (out / "wav.scp").stat()
    assert main([*command, "--pitch", "130"]) == 0 and (out / "wav.scp").stat() == stored
    assert main([*command, "--pitch", "150"]) == 0
    assert set().union(*pitches_of(out).values()) == {"150Hz"}
    talkers(tmp_path / "train", 2)
    assert main([*command, "--pitch", "150"]) == 0 and len(pitches_of(out)) == 2
    capsys.readouterr()
    assert main([*command, "--pitch", "150", "--out", str(tmp_path / "train")]) == 1
    assert "name another folder, or delete it" in capsys.readouterr().err and read_manifest(tmp_path / "train")


def test_what_was_interrupted_resumes(tmp_path, monkeypatch):
    talkers(tmp_path / "train", 4)
    done = []

    def stopped(*arguments):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(arguments[1])
        return shift_voice(*arguments)

    command = ["data", "voices", str(tmp_path / "train"), "--pitch", "130", "160"]
    monkeypatch.setattr(voices, "shift_voice", stopped)
    assert main(command) == 130
    monkeypatch.setattr(voices, "shift_voice", lambda *a: done.append(a[1]) or shift_voice(*a))
    assert main(command) == 0 and len(done) == 8
    out = tmp_path / "train_voices"
    assert len(read_manifest(out)) == 12 and not (out / "made_by").exists()
    assert all(u.audio.is_file() for u in read_manifest(out))


@pytest.mark.parametrize(("entry", "damaged"), [("130,", '"a",'), ('"each"', '"other"')])
def test_a_record_that_is_damaged_is_named(tmp_path, entry, damaged):
    talkers(tmp_path / "train", 2)
    assert main(["data", "voices", str(tmp_path / "train"), "--pitch", "130", "160"]) == 0
    settings = tmp_path / "train_voices/settings.json"
    assert entry in settings.read_text()
    settings.write_text(settings.read_text().replace(entry, damaged))
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
    assert main(["data", "voices", str(data / "train"), "--pitch", "90", "130"]) == 0
    sets = ("scratch=false", "networks.speaker={type: d_vector}", "data.train=train_voices")
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", sets=sets) == 0
    assert {"s0", "s0@90Hz", "s0@130Hz"} <= set(embedded)
    check_source(data / "train_voices")
