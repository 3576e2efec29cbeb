"""A recipe's parts, as its config names them."""

import json
import sys

import pytest
import torch

from tests.conftest import stages
from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.recipes.recipe import Recipe


def test_messages_of_an_audio_corpus_name_its_key(tiny, tmp_path):
    config = load_config(tiny, ["audio_corpus={type: librispeech}"])
    corpora = Recipe(config, tmp_path, tmp_path / "exp", force=False, device=torch.device("cpu")).build_corpora()
    with pytest.raises(UserError, match="--set audio_corpus.corpus_dir=DIR") as error:
        corpora[1].obtain()
    assert error.value.fields == {"key": "audio_corpus"}


def test_a_metric_whose_package_is_missing_is_left_out_and_the_rest_is_scored(
    mel_run, recipe_folder, tiny, capsys, monkeypatch
):
    exp, sets = recipe_folder / "exp/tiny", ("scratch=false", "scoring.asr={type: pocketsphinx}")
    assert stages(recipe_folder, tiny, "synth", sets=sets) == 0
    with monkeypatch.context() as without:
        for module in ("pystoi", "pocketsphinx"):
            without.setitem(sys.modules, module, None)
        assert stages(recipe_folder, tiny, "score", sets=sets) == 0
        said = capsys.readouterr().out
        assert said.count("note: ") == 3
        results = json.loads((exp / "results.json").read_text())
        assert "mcd" in results["protocols"] and not {"stoi", "estoi", "wer"} & results["protocols"].keys()
        assert {name.partition(",")[0] for name in results["notes"]} >= {"stoi", "estoi", "asr"}
        assert "* stoi, left out: " in (exp / "results.md").read_text()
    pytest.importorskip("pystoi", reason="pystoi is not installed")
    pytest.importorskip("pocketsphinx", reason="pocketsphinx is not installed")
    assert stages(recipe_folder, tiny, "score", sets=sets) == 0  # no --force: the packages are there now
    results = json.loads((exp / "results.json").read_text())
    assert {"stoi", "mcd", "wer", "cer"} <= results["protocols"].keys()
    before = (exp / "results.json").stat().st_mtime_ns
    assert stages(recipe_folder, tiny, "score", sets=sets) == 0
    assert (exp / "results.json").stat().st_mtime_ns == before
