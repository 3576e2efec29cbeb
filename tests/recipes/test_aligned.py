"""Data directories whose audio is shifted to where a model's speech is."""

import numpy as np
import pytest

from tests.conftest import make_data, stages
from v2skit.cli.main import main
from v2skit.data.data_dir import SETTINGS, read_manifest, read_settings, write_manifest
from v2skit.errors import UserError
from v2skit.media.audio import read_audio, write_audio
from v2skit.recipes.aligned import LAGS, earlier
from v2skit.recipes.subsets import check_source, check_test_data
from v2skit.signal.delay import delayed
from v2skit.system.provenance import Provenance

RATE = 24000
SECONDS = 2.4


def sounds(directory, count: int = 6):
    """A data directory whose audio is bursts of noise at random places in a quiet noise."""
    utterances = make_data(directory, count, video=False)
    for number, u in enumerate(utterances):
        random = np.random.default_rng(number)
        sound = random.normal(0, 1e-3, round(SECONDS * RATE))
        for place in np.linspace(0.2, 2.1, 12) + random.uniform(-0.05, 0.05, 12):
            burst = slice(round(place * RATE), round((place + random.uniform(0.03, 0.08)) * RATE))
            sound[burst] += random.normal(0, 0.2, burst.stop - burst.start)
        write_audio(u.audio, sound.astype(np.float32), RATE)
    return utterances


def speech_of(utterances, folder, lags_ms) -> None:
    """The utterances' audio, which is later than the speech by these lags, as speech."""
    for u, lag in zip(utterances, lags_ms, strict=True):
        write_audio(folder / f"{u.id}.wav", delayed(read_audio(u.audio, RATE), -round(lag * RATE / 1000)), RATE)


def test_the_audio_is_where_the_speech_is_but_for_the_speakers_median_lag(tmp_path, capsys):
    utterances = sounds(tmp_path / "train")
    lags = [30, 5, 10, 5, -20, 5]  # of s0 and s1 in turn: medians 10 and 5
    speech_of(utterances, tmp_path / "speech", lags)
    assert main(["data", "align", str(tmp_path / "train"), "--speech", str(tmp_path / "speech")]) == 0
    out = tmp_path / "train_aligned"
    said = capsys.readouterr().out
    assert f"{out}: 6 utterances, shifted by lags with a standard deviation of 15 ms" in said
    assert float(said.split("have a correlation of ")[1]) > 0.99
    rows = [line.split("\t") for line in (out / LAGS).read_text().splitlines()]
    expected = {u.id: lag - (10 if u.speaker == "s0" else 5) for u, lag in zip(utterances, lags, strict=True)}
    for name, shift, first, second in rows:
        assert abs(float(shift) - expected[name]) < 1.5
        assert abs(float(first) - float(second)) < 3
    before, shifts = {u.id: u for u in utterances}, {name: float(shift) for name, shift, *_ in rows}
    for u in read_manifest(out):
        of = before[u.id]
        assert (u.speaker, u.text, u.frames) == (of.speaker, of.text, of.frames)
        now, then = read_audio(u.audio, RATE), read_audio(of.audio, RATE)
        middle, shift = slice(RATE // 4, -RATE // 4), round(shifts[u.id] * RATE / 1000)
        assert len(now) == len(then)
        errors = [np.abs(now - delayed(then, -shift + step))[middle].max() for step in (-1, 0, 1)]
        assert min(errors) < 1e-4
    check_source(out)


def test_background_noise_goes_on_where_audio_is_shifted_in():
    noise = np.random.default_rng(0).normal(0, 0.1, 1000).astype(np.float32)
    for samples in (-300, -1, 0, 1, 300):
        out = earlier(noise, samples)
        assert out.shape == noise.shape and out.dtype == np.float32 and (out != 0).all()
        inner = slice(max(0, -samples), min(1000, 1000 - samples))
        assert np.array_equal(out[inner], noise[inner.start + samples : inner.stop + samples])
    assert earlier(noise[:3], 100).shape == (3,)


def aligned(folder, *more: str) -> int:
    """The exit status of v2skit data align."""
    return main(["data", "align", str(folder / "train"), "--speech", str(folder / "speech"), *more])


def rows(directory) -> dict[str, list[str]]:
    """Utterance id -> shift, lags of the halves."""
    lines = (directory / LAGS).read_text().splitlines()
    return {name: values for name, *values in (line.split("\t") for line in lines)}


def make_silent(path) -> None:
    write_audio(path, np.zeros(round(SECONDS * RATE), np.float32), RATE)


def test_speech_that_is_missing_is_named_with_the_command_that_writes_it(tmp_path, capsys):
    utterances = sounds(tmp_path / "train", 3)
    command = f"v2skit synth-data {tmp_path}/train --model MODEL -o"
    assert aligned(tmp_path) == 1
    error = capsys.readouterr().err
    assert f"lacks 3 of 3 files, such as {utterances[0].id}.wav; {command} {tmp_path}/speech writes them" in error
    speech_of(utterances, tmp_path / "speech", [0, 0, 0])
    (tmp_path / "train/wav.scp").unlink()
    assert aligned(tmp_path) == 1
    assert f"train has no audio of '{utterances[0].id}'; give a data directory whose" in capsys.readouterr().err
    assert not (tmp_path / "train_aligned").exists()


def test_the_command_for_missing_speech_deletes_none(tmp_path, capsys):
    utterances = sounds(tmp_path / "train", 3)
    speech = tmp_path / "speech"
    speech_of(utterances, speech, [0, 0, 0])
    (speech / f"{utterances[1].id}.wav").unlink()
    assert aligned(tmp_path) == 1
    command = f"such as {utterances[1].id}.wav; v2skit synth-data {tmp_path}/train --model"
    assert f"{command} MODEL -o FOLDER writes them" in capsys.readouterr().err  # which model wrote it is unknown
    for data, out in (("train", speech), ("valid", "FOLDER")):
        Provenance({"model": "/models/my exp", "data": str(tmp_path / data)}).write(speech / "source.json")
        assert aligned(tmp_path) == 1
        assert f"{command} '/models/my exp' -o {out} writes them" in capsys.readouterr().err


def test_it_is_kept_and_other_speech_or_clips_are_refused(tmp_path, capsys):
    utterances = sounds(tmp_path / "train", 3)
    speech = tmp_path / "speech"
    speech_of(utterances, speech, [10, 0, -10])
    assert aligned(tmp_path) == 0
    stored = (tmp_path / "train_aligned/wav.scp").stat()
    assert aligned(tmp_path, "--replace") == 0 and (tmp_path / "train_aligned/wav.scp").stat() == stored
    speech_of(utterances, speech, [20, 0, -10])
    assert aligned(tmp_path) == 1
    made = f"made from other speech, or by another version, with v2skit data align --speech {speech}"
    assert f"train_aligned exists, and is {made}; --replace deletes it and writes" in capsys.readouterr().err
    sounds(tmp_path / "train", 2)
    assert aligned(tmp_path) == 1
    remedy = f"v2skit data align {tmp_path}/train --speech {speech} --out {tmp_path}/train_aligned"
    assert remedy in capsys.readouterr().err


def test_replace_writes_it_again_from_other_speech_or_clips(tmp_path):
    utterances = sounds(tmp_path / "train", 4)
    speech_of(utterances, tmp_path / "speech", [10, 0, -10, 0])
    assert aligned(tmp_path) == 0
    out = tmp_path / "train_aligned"
    speech_of(utterances, tmp_path / "speech", [20, 0, -20, 0])
    assert aligned(tmp_path, "--replace") == 0
    assert float(rows(out)[utterances[0].id][0]) == pytest.approx(20, abs=1.5)
    sounds(tmp_path / "train", 3)
    assert aligned(tmp_path, "--replace") == 0 and len(read_manifest(out)) == 3
    check_source(out)


def test_replace_deletes_nothing_of_others(tmp_path, capsys):
    speech_of(sounds(tmp_path / "train", 2), tmp_path / "speech", [0, 0])
    (tmp_path / "own").mkdir()
    (tmp_path / "own/file").touch()
    assert main(["data", "subset", str(tmp_path / "train"), "--share", "1"]) == 0
    for out in ("train", "own", "train_1"):
        before = sorted((tmp_path / out).rglob("*"))
        assert aligned(tmp_path, "--replace", "--out", str(tmp_path / out)) == 1
        assert "name another folder, or delete it" in capsys.readouterr().err
        assert before and sorted((tmp_path / out).rglob("*")) == before


def test_it_moves_with_its_speech(tmp_path, capsys):
    utterances = sounds(tmp_path / "old/train", 2)
    speech_of(utterances, tmp_path / "old/speech", [0, 0])
    assert aligned(tmp_path / "old") == 0
    (tmp_path / "old").rename(tmp_path / "new")
    new = tmp_path / "new"
    stored = (new / "train_aligned/wav.scp").stat()
    assert aligned(new) == 0 and (new / "train_aligned/wav.scp").stat() == stored
    sounds(new / "train", 1)
    assert aligned(new) == 1
    remedy = f"v2skit data align {new}/train --speech {new}/speech --out {new}/train_aligned"
    assert remedy in capsys.readouterr().err


def test_a_lag_beyond_the_bounds_is_not_taken_for_their_end(tmp_path, capsys):
    utterances = sounds(tmp_path / "train", 3)
    speech_of(utterances, tmp_path / "speech", [0, 130, 20])
    assert aligned(tmp_path) == 0
    found = rows(tmp_path / "train_aligned")
    assert found.pop(utterances[1].id)[0] == "-"
    assert {float(shift) > 0 for shift, *_ in found.values()} == {True, False}
    assert "but for 1 whose lag can't be measured" in capsys.readouterr().out


@pytest.mark.parametrize("other", ["silent audio", "silent speech", "constant speech", "halves apart"])
def test_an_utterance_without_a_lag_is_left_as_it_is_and_out_of_the_median(tmp_path, other, capsys):
    utterances = sounds(tmp_path / "train", 8)
    of_speaker = [u for u in utterances if u.speaker == "s0"]
    lags = [30 if u.speaker == "s0" else 0 for u in utterances]
    speech_of(utterances, tmp_path / "speech", lags)
    without = of_speaker[:3]  # most clips: with lags of 0, they would be the median
    for u in without:
        path = u.audio if other == "silent audio" else tmp_path / "speech" / f"{u.id}.wav"
        make_silent(path)
        if other == "constant speech":
            write_audio(path, np.full(round(SECONDS * RATE), 0.1, np.float32), RATE)
        elif other == "halves apart":
            sound, middle = read_audio(u.audio, RATE), round(SECONDS * RATE / 2)
            first, second = (delayed(sound, round(lag * RATE / 1000)) for lag in (0, 90))
            write_audio(path, np.concatenate([first[:middle], second[middle:]]), RATE)
    before = [read_audio(u.audio, RATE) for u in without]
    assert aligned(tmp_path) == 0
    assert "8 utterances, shifted by lags with a standard deviation of 0 ms, but for 3 whose" in capsys.readouterr().out
    found = rows(tmp_path / "train_aligned")
    assert {u.id for u in utterances if found[u.id][0] == "-"} == {u.id for u in without}
    if other != "halves apart":
        assert {value for u in without for value in found[u.id]} == {"-"}
    assert all(abs(float(shift)) < 1 for shift, *_ in found.values() if shift != "-")
    audio = {u.id: u.audio for u in read_manifest(tmp_path / "train_aligned")}
    for u, sound in zip(without, before, strict=True):
        assert np.array_equal(read_audio(audio[u.id], RATE), sound)


def test_nothing_is_shifted_where_no_lag_can_be_measured(tmp_path, capsys):
    utterances = sounds(tmp_path / "train", 2)
    speech_of(utterances, tmp_path / "speech", [0, 0])
    make_silent(utterances[0].audio)
    short = utterances[1].audio, tmp_path / "speech" / f"{utterances[1].id}.wav"
    for path in short:
        write_audio(path, read_audio(path, RATE)[:600], RATE)  # less than a window
    assert aligned(tmp_path) == 0
    assert "2 utterances, none shifted: no lag can be measured" in capsys.readouterr().out


def test_lags_of_speakers_do_not_correlate_the_halves(tmp_path, capsys):
    utterances = sounds(tmp_path / "train", 8)
    middle = round(SECONDS * RATE / 2)
    for number, u in enumerate(utterances):
        common = 40 if u.speaker == "s0" else -40
        errors = ((8, 8), (8, -8), (-8, 8), (-8, -8))[number // 2]  # of the halves, not correlated
        sound = read_audio(u.audio, RATE)
        first, second = (delayed(sound, -round((common + error) * RATE / 1000)) for error in errors)
        speech = np.concatenate([first[:middle], second[middle:]])
        write_audio(tmp_path / "speech" / f"{u.id}.wav", speech, RATE)
    assert aligned(tmp_path) == 0
    said = capsys.readouterr().out
    assert "can't be measured" not in said and abs(float(said.split("have a correlation of ")[1])) < 0.3


def test_input_that_is_none_is_refused(tmp_path, capsys):
    utterances = sounds(tmp_path / "train", 2)
    speech_of(utterances, tmp_path / "speech", [0, 0])
    assert aligned(tmp_path) == 0
    for content in (None, "a\tb\n", "strange\t1.0\t1.0\t1.0\n", f"{utterances[0].id}\t1.0\t-\t1.0\n"):
        path = tmp_path / "train_aligned" / LAGS
        path.unlink() if content is None else path.write_text(content)
        assert aligned(tmp_path) == 1
        assert f"{path} is missing or damaged; delete {path.parent}, and" in capsys.readouterr().err
    write_audio(tmp_path / "speech" / f"{utterances[0].id}.wav", np.ones(16000, np.float32), 16000)
    assert aligned(tmp_path, "--replace") == 1
    assert "expected mono at 24000 Hz; synthesise the speech with a model of this" in capsys.readouterr().err
    write_manifest(tmp_path / "train", [], read_settings(tmp_path / "train"))
    assert aligned(tmp_path, "--out", str(tmp_path / "new")) == 1
    assert "train has no utterances; give a data directory that has some" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["test_aligned", "part"])
def test_it_is_no_test_data(recipe_folder, tiny, name, capsys):
    data = recipe_folder / "data"
    speech_of(read_manifest(data / "test"), recipe_folder / "speech", [0, 0, 0])
    assert main(["data", "align", str(data / "test"), "--speech", str(recipe_folder / "speech")]) == 0
    assert main(["data", "subset", str(data / "test_aligned"), "--share", "1", "--out", str(data / "part")]) == 0
    capsys.readouterr()
    for stage in ("obtain", "pretrain", "synth", "score"):
        assert stages(recipe_folder, tiny, stage, sets=(f"data.test={name}",)) == 1
        message = f"{data}/test_aligned has audio that v2skit data align shifted, and can't be test data"
        error = capsys.readouterr().err
        assert message in error and f"give {data}/test, whose time-aligned scores" in error


def test_it_is_no_test_data_whatever_its_source_is_now(recipe_folder):
    data = recipe_folder / "data"
    speech_of(read_manifest(data / "test"), recipe_folder / "speech", [0, 0, 0])
    assert main(["data", "align", str(data / "test"), "--speech", str(recipe_folder / "speech")]) == 0
    (data / "test" / SETTINGS).write_text("{")
    with pytest.raises(UserError, match="test_aligned has audio that v2skit data align shifted"):
        check_test_data(data / "test_aligned")


def test_a_model_is_not_evaluated_on_it(mel_run, recipe_folder, capsys):
    data = recipe_folder / "data"
    speech_of(read_manifest(data / "test"), recipe_folder / "speech", [0, 0, 0])
    assert main(["data", "align", str(data / "test"), "--speech", str(recipe_folder / "speech")]) == 0
    options = ["--model", str(mel_run), "-o", str(recipe_folder / "out"), "--device", "cpu"]
    assert main(["evaluate", str(data / "test_aligned"), *options]) == 1
    assert "test_aligned has audio that v2skit data align shifted" in capsys.readouterr().err
    assert not list((recipe_folder / "out").rglob("*.wav"))
