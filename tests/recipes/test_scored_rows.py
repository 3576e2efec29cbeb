"""Stage 6: rows without speech are left out and named; metrics that see the whole face have the corpus's videos."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

from tests.conftest import stages
from v2skit.corpora.corpus import CorpusUtterance
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
    assert "* copy synthesis, left out: " in (exp / "results.md").read_text()
    assert stages(recipe_folder, tiny, "synth", "score", sets=sets) == 0
    assert "copy_synthesis" in json.loads((exp / "results.json").read_text())["rows"]
    shutil.rmtree(exp / "synth")
    assert stages(recipe_folder, tiny, "score", sets=sets) == 1
    assert "stage 5 makes it" in capsys.readouterr().err
