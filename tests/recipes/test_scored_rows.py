"""Stage 6: rows without speech are left out and named; metrics that see the whole face have the corpus's videos."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import stages
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.errors import UserError
from v2skit.evaluation import score
from v2skit.evaluation.systems import read_system
from v2skit.recipes.score import videos_of


def test_the_videos_are_those_of_the_test_set():
    listed = {
        "x/train": [CorpusUtterance("a-1", "a", None, Path("a/1.mpg"))],
        "x/test": [CorpusUtterance("a-2", "a", None, Path("a/2.mpg")), CorpusUtterance("a-3", "a", Path("a/3.wav"))],
    }
    corpora = [SimpleNamespace(splits=lambda: listed)]
    recipe = SimpleNamespace(build_corpora=lambda: corpora, config=SimpleNamespace(data=SimpleNamespace(test="x/test")))
    assert videos_of(recipe) == {"a-2": Path("a/2.mpg")}


def test_a_row_without_speech_is_named_and_the_others_are_scored(mel_run, recipe_folder, tiny, capsys):
    exp, sets = (
        recipe_folder / "exp/tiny",
        ("scratch=false", "scoring.metrics.pesq_wb=null", "scoring.metrics.pesq_nb=null"),
    )
    assert stages(recipe_folder, tiny, "synth", sets=sets) == 0
    shutil.rmtree(exp / "synth/copy_synthesis")
    for _ in range(2):  # results that are up to date do not hide it
        capsys.readouterr()
        assert stages(recipe_folder, tiny, "score", sets=sets) == 1
        error = capsys.readouterr().err
        assert "synth/copy_synthesis has no speech to score, or not all of it; stage 5 makes it" in error
    rows = json.loads((exp / "results.json").read_text())["rows"]
    assert "pretrained" in rows and "copy_synthesis" not in rows
    assert read_system(str(exp)).folder.name == "pretrained"
    assert "* copy synthesis, left out: " in (exp / "results.md").read_text()
    assert stages(recipe_folder, tiny, "synth", "score", sets=sets) == 0
    assert "copy_synthesis" in json.loads((exp / "results.json").read_text())["rows"]
    shutil.rmtree(exp / "synth/pretrained")
    assert stages(recipe_folder, tiny, "score", sets=sets) == 1
    with pytest.raises(
        UserError, match=r"tiny has no scores of its main row, pretrained; repeat stages 5 and 6, or name"
    ):
        read_system(str(exp))
    assert read_system(f"{exp}:copy_synthesis").folder.name == "copy_synthesis"
    shutil.rmtree(exp / "synth")
    assert stages(recipe_folder, tiny, "score", sets=sets) == 1
    assert "stage 5 makes it" in capsys.readouterr().err


def test_scores_that_were_interrupted_have_no_results(mel_run, recipe_folder, tiny, monkeypatch):
    exp, sets = recipe_folder / "exp/tiny", ("scratch=false", "scoring.asr=null")
    assert stages(recipe_folder, tiny, "synth", "score", sets=sets) == 0
    scored, rows = score.score, []

    def interrupted(utterances, folder, *arguments):
        rows.append(folder)
        if len(rows) == 3:
            raise KeyboardInterrupt
        return scored(utterances, folder, *arguments)

    monkeypatch.setattr(score, "score", interrupted)
    other = (*sets, "scoring.metrics.pesq_wb=null")
    assert stages(recipe_folder, tiny, "score", sets=other) == 130 and len(rows) == 3
    assert not (exp / "results.json").exists() and (exp / "synth/pretrained/scores.jsonl").exists()
    monkeypatch.undo()
    assert stages(recipe_folder, tiny, "score", sets=other) == 0
    assert "pesq_wb" not in json.loads((exp / "results.json").read_text())["rows"]["pretrained"]


def test_a_clip_without_video_is_no_lacking_speech(mel_run, recipe_folder, tiny):
    table = recipe_folder / "data/test/video.scp"
    first, *rest = table.read_text().splitlines(keepends=True)
    table.write_text("".join(rest))
    assert stages(recipe_folder, tiny, "synth", "score", sets=("scratch=false", "scoring.asr=null")) == 0
    lines = (recipe_folder / "exp/tiny/synth/pretrained/scores.jsonl").read_text().splitlines()
    scores = {found["id"]: found["values"] for found in map(json.loads, lines)}
    assert [key for key, values in scores.items() if not values] == [first.split()[0]] and len(scores) == len(rest) + 1
