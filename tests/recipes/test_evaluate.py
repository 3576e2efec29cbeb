"""``v2skit evaluate``: a table of scores from a model and test clips, without an experiment."""

import json
from pathlib import Path

import pytest
import soundfile

from tests.cases.model import untrained_run
from tests.conftest import make_data
from tests.miniatures import clip
from v2skit.cli.main import main
from v2skit.data.data_dir import read_manifest


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


@pytest.mark.parametrize(
    "corpus, message",
    [
        ("mini", "--corpus: 'mini' is no corpus in a folder; prepare it, and give its data directory"),
        ("{type: custom, split: tests}", "none of 'seen', 'unseen' and 'test'"),
        ("{type: grid, split: test}", "has no clips"),
    ],
)
def test_a_corpus_without_test_clips_is_named(run, tmp_path, capsys, corpus, message):
    clip(tmp_path / "videos/s0/a.mp4")
    assert evaluate(run, tmp_path / "videos", tmp_path / "out", "--corpus", corpus) == 1
    assert message in capsys.readouterr().err


def test_what_is_no_folder_is_named_before_the_model_is_loaded(tmp_path, capsys):
    assert evaluate(tmp_path / "no_model", tmp_path / "nowhere", tmp_path / "out") == 1
    assert "nowhere is no folder; give a folder of videos, a corpus or a data directory" in capsys.readouterr().err
