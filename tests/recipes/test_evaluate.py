"""``v2skit evaluate``: a table of scores from a model and test clips, without an experiment."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cases.model import untrained_run
from tests.conftest import make_data
from tests.media_files import every, make_video
from tests.miniatures import clip
from v2skit.cli.main import main
from v2skit.config.load import load_config
from v2skit.config.prepare import Filters, Prepare
from v2skit.data.data_dir import read_manifest
from v2skit.models.pack_header import Card
from v2skit.models.package import pack
from v2skit.recipes.evaluate import _config


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("model"))


def evaluate(run: Path, clips: Path, out: Path, *more: str) -> int:
    return main(["evaluate", str(clips), "--model", str(run), "-o", str(out), "--device", "cpu", *more])


def results(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


def test_a_folder_of_videos_becomes_a_table(run, tmp_path, capsys):
    for name in ("s0/a", "s0/b", "s1/c"):
        clip(tmp_path / f"videos/{name}.mp4", "bin blue", frames=20)
    assert evaluate(run, tmp_path / "videos", tmp_path / "out") == 0
    utterances = read_manifest(tmp_path / "out/data/test")
    assert [(u.id, u.speaker, u.text) for u in utterances] == [
        ("s0-a", "s0", "BIN BLUE"), ("s0-b", "s0", "BIN BLUE"), ("s1-c", "s1", "BIN BLUE")
    ]  # fmt: skip
    assert list(results(tmp_path / "out")["rows"]) == ["ground_truth", "copy_synthesis", "model"]
    for u in utterances:
        assert soundfile.info(tmp_path / f"out/synth/model/{u.id}.wav").frames == u.frames * 960
    assert "| model | " in capsys.readouterr().out
    before = (tmp_path / "out/synth/model/s0-a.wav").stat().st_mtime_ns
    assert evaluate(run, tmp_path / "videos", tmp_path / "out") == 0
    assert (tmp_path / "out/synth/model/s0-a.wav").stat().st_mtime_ns == before
    assert main(["compare", str(tmp_path / "out"), f"{tmp_path / 'out'}:copy_synthesis"]) == 0


def test_without_transcripts_there_are_no_error_rates(run, tmp_path, capsys):
    for name in ("a", "b"):
        clip(tmp_path / f"videos/{name}.mp4", frames=20)
    assert evaluate(run, tmp_path / "videos", tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert "| ESTOI" in text and "| WER" not in text and "failed" not in text
    assert "error rates of words, left out: no clip of " in text and "has a transcript" in text
    assert "wer" not in results(tmp_path / "out")["rows"]["model"]
    assert results(tmp_path / "out")["conditions"]["recogniser"] is None
    for path in (tmp_path / "videos").rglob("*.mp4"):
        path.with_suffix(".txt").write_text("BIN BLUE AT F TWO NOW")
    assert evaluate(run, tmp_path / "videos", tmp_path / "out") == 0
    assert "| WER" in (text := capsys.readouterr().out) and "error rates of words, left out" not in text


def test_a_data_directory_with_an_audio_model_and_one_voice(run, tmp_path, capsys):
    make_data(tmp_path / "clips", count=2)
    (tmp_path / "a2a").mkdir()
    audio_model = untrained_run(tmp_path / "a2a", task="a2a")
    more = ("--audio_model", str(audio_model), "--voice", "s1")
    assert evaluate(run, tmp_path / "clips", tmp_path / "out", *more) == 0
    assert list(results(tmp_path / "out")["rows"]) == ["ground_truth", "copy_synthesis", "audio_to_audio", "model"]
    speech = {path.name: path.read_bytes() for path in (tmp_path / "out/synth/model").glob("*.wav")}
    assert evaluate(run, tmp_path / "clips", tmp_path / "own") == 0
    own = {path.name: path.read_bytes() for path in (tmp_path / "own/synth/model").glob("*.wav")}
    assert {name for name in own if own[name] == speech[name]} == {"s1-0001.wav"}
    capsys.readouterr()
    assert evaluate(run, tmp_path / "clips", tmp_path / "other", "--audio_model", str(run)) == 1
    assert "an audio-to-audio model is needed; give a run of stage 2" in capsys.readouterr().err


def test_a_pack_in_int8_is_evaluated(run, tmp_path):
    make_data(tmp_path / "clips", count=2)
    path, speech = tmp_path / "model.v2s", {}
    pack(run, path, None, Card(), precision="int8")
    for name, model in (("run", run), ("pack", path)):
        assert evaluate(model, tmp_path / "clips", tmp_path / name) == 0
        speech[name] = [soundfile.read(file)[0] for file in sorted((tmp_path / name / "synth/model").glob("*.wav"))]
    assert "estoi" in results(tmp_path / "pack")["rows"]["model"]
    for exact, rounded in zip(*speech.values(), strict=True):
        assert exact.shape == rounded.shape and 0 < np.square(exact - rounded).mean() < 1e-3 * np.square(exact).mean()


@pytest.mark.parametrize(
    "corpus, message",
    [
        ("mini", "--corpus: 'mini' is no corpus in a folder; prepare it, and give its data directory"),
        (
            "{type: webdataset, splits: {test: a.tar}}",
            "'webdataset' is no corpus in a folder; prepare it, and give its",
        ),
        ("{type: custom, split: tests}", "none of 'seen', 'unseen' and 'test'"),
        ("{type: grid, split: test}", "has no clips"),
    ],
)
def test_a_corpus_without_test_clips_is_named(run, tmp_path, capsys, corpus, message):
    clip(tmp_path / "videos/s0/a.mp4")
    assert evaluate(run, tmp_path / "videos", tmp_path / "out", "--corpus", corpus) == 1
    assert message in capsys.readouterr().err


def test_clips_that_cannot_be_used_are_left_out(run, tmp_path, capsys):
    clip(tmp_path / "videos/good.mp4", frames=20)
    make_video(tmp_path / "videos/silent.mp4", every(25, 0.8))
    assert evaluate(run, tmp_path / "videos", tmp_path / "out") == 0
    assert "1 utterances, 1 excluded" in capsys.readouterr().out
    assert [u.id for u in read_manifest(tmp_path / "out/data/test")] == ["videos-good"]
    (tmp_path / "videos/good.mp4").unlink()
    assert evaluate(run, tmp_path / "videos", tmp_path / "none") == 1
    assert "none of the 1 test clips can be used; " in (message := capsys.readouterr().err) and "--set" not in message


def test_texts_in_another_language_are_no_business_of_the_models_recogniser(run, tmp_path, capsys):
    for name in ("a", "b"):
        clip(tmp_path / f"videos/{name}.mp4", "ddraig goch cymru hwyl", frames=20)
    assert evaluate(run, tmp_path / "videos", tmp_path / "out") == 0
    found = results(tmp_path / "out")
    assert "en-us n-gram" in found["conditions"]["recogniser"]  # and not the grammar of the model's corpus
    note = "the recogniser's dictionary lacks 4 of 4 words of the transcripts, such as CYMRU, DDRAIG, GOCH; is it of"
    assert note in capsys.readouterr().out and note in found["notes"]["error rates of words"]
    assert evaluate(run, tmp_path / "out/data/test", tmp_path / "again") == 0  # as it is prepared
    assert "en-us n-gram" in results(tmp_path / "again")["conditions"]["recogniser"]
    assert evaluate(run, tmp_path / "out/data/test", tmp_path / "again", "--asr", "null") == 0
    assert results(tmp_path / "again")["conditions"]["recogniser"] is None
    assert evaluate(run, tmp_path / "out/data/test", tmp_path / "again", "--asr", "sphinx") == 1
    assert "--asr" in (message := capsys.readouterr().err) and "pocketsphinx" in message


def test_clips_that_were_prepared_for_another_clock(run, tmp_path, capsys):
    make_data(tmp_path / "clips", count=2)
    settings = json.loads((tmp_path / "clips/settings.json").read_text())
    (tmp_path / "clips/settings.json").write_text(json.dumps({**settings, "clock": {"fps": 20, "sample_rate": 16000}}))
    assert evaluate(run, tmp_path / "clips", tmp_path / "out") == 1
    message = capsys.readouterr().err
    assert "clock.fps: 20 there, 25 now" in message and "give the folder of its videos instead" in message
    assert not (tmp_path / "out/synth").exists()
    clip(tmp_path / "videos/a.mp4", frames=20)
    assert evaluate(run, tmp_path / "videos", tmp_path / "other") == 0
    record = tmp_path / "other/data/test/prepared_with.json"
    record.write_text(record.read_text().replace('"clock.fps": 25', '"clock.fps": 20'))
    assert evaluate(run, tmp_path / "videos", tmp_path / "other") == 1
    assert "is of another model; give another folder with -o, or --force" in capsys.readouterr().err
    assert evaluate(run, tmp_path / "videos", tmp_path / "other", "--force") == 0


def test_what_is_no_folder_is_named_before_the_model_is_loaded(tmp_path, capsys):
    assert evaluate(tmp_path / "no_model", tmp_path / "nowhere", tmp_path / "out") == 1
    assert "nowhere is no folder; give a folder of videos, a corpus or a data directory" in capsys.readouterr().err


def test_clips_are_prepared_with_the_offset_and_filters_of_the_model(run):
    given = Prepare(jobs=4, cluster="slurm", slurm={"time": 5}, offset="measure", filters=Filters(min_seconds=0.5))
    trained = load_config(run.parent / "tiny.yaml")
    config = _config(replace(trained, prepare=given), trained.corpus)
    assert config.prepare == Prepare(offset="measure", filters=Filters(min_seconds=0.5), max_failed_share=1.0)


def test_clips_and_talkers_of_the_training_are_noted(tmp_path, capsys):
    exp = tmp_path / "exp/mel"
    exp.mkdir(parents=True)
    run = untrained_run(exp)
    make_data(tmp_path / "data/train", count=3)
    assert evaluate(run, tmp_path / "data/train", tmp_path / "out", "--voice", "s1") == 0
    directory = f"3 of 3 clips are in the training data {tmp_path / 'data/train'}"
    note = f"{directory}; talkers that the model was trained on: s0, s1"
    assert f"note: {note}\n" in capsys.readouterr().out
    assert note in results(tmp_path / "out")["notes"]["model"] and note in (tmp_path / "out/results.md").read_text()
    assert results(tmp_path / "out")["conditions"]["split"]["unseen_talkers"] is False
    clip(tmp_path / "videos/other/a.mp4", "bin blue", frames=20)
    assert evaluate(run, tmp_path / "videos", tmp_path / "others", "--voice", "s1") == 0
    assert "note: " not in capsys.readouterr().out
    # The audio of its training is not here.
    assert results(tmp_path / "others")["conditions"]["split"]["unseen_talkers"] is None


def test_training_data_next_to_the_test_clips_are_not_those_of_the_model(tmp_path):
    (tmp_path / "a").mkdir()
    run = untrained_run(tmp_path / "a")
    for name in ("train", "test"):
        make_data(tmp_path / "b/data" / name, count=2)
    assert evaluate(run, tmp_path / "b/data/test", tmp_path / "out", "--voice", "s1") == 0
    assert results(tmp_path / "out")["conditions"]["split"]["unseen_talkers"] is None


@pytest.mark.parametrize("training", ["finetune", "pretrain"])
def test_an_experiment_with_a_training_is_not_replaced(tmp_path, capsys, training):
    make_data(tmp_path / "clips", count=2)
    (tmp_path / "exp" / training).mkdir(parents=True)
    assert evaluate(tmp_path / "no_model", tmp_path / "clips", tmp_path / "exp") == 1
    message = f"{training} is a training, whose results would be replaced; give another folder with -o"
    assert message in capsys.readouterr().err
