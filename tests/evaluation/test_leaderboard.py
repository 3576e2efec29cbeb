"""All results of a checkout, by protocol."""

import json

import pytest

from tests.evaluation.test_compare import CONDITIONS, PROTOCOLS, cells, experiment, named
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.evaluation.leaderboard import boards, find_results


@pytest.fixture
def recipes(tmp_path):
    """Two recipes with experiments of one protocol, of none, and of other conditions."""
    for number, (name, options) in enumerate({
        "egs/a/exp/x": {"protocol": named("1" * 12)},
        "egs/a/exp/y": {"conditions": {**CONDITIONS, "sample_rate": 16000}, "protocols": {**PROTOCOLS, "wer": "other"}},
        "egs/b/exp/x": {"protocol": named("1" * 12), "protocols": {**PROTOCOLS, "wer": "other"}},
        "egs/b/exp/z": {},
        "egs/b/exp/old": {"conditions": None},
    }.items()):  # fmt: skip
        path = tmp_path / name
        experiment(path, 0.4, **options)
        results = json.loads((path / "results.json").read_text())
        entry = {"mean": 0.1 + number, "low": 0.0, "high": 9.0, "n": 40, "failed": number}
        results["rows"] = {"ground_truth": {"estoi": entry}, "pretrained": {"estoi": entry, "wer": entry}}
        (path / "results.json").write_text(json.dumps({**results, "files": {"pretrained": 40}}))
    return tmp_path


def test_results_are_grouped_by_protocol_and_without_one_by_conditions(recipes):
    found, errors = boards(find_results(sorted(recipes.glob("egs/*/exp"))))
    assert not errors and [len(board.rows) for board in found] == [4, 2, 2, 2]
    assert found[0].title == f"Protocol p@1, fingerprint {'1' * 12}" and found[0].several == ["wer"]
    assert [row.experiment.rpartition("egs/")[2] for row in found[0].rows] == ["a/exp/x"] * 2 + ["b/exp/x"] * 2
    titles = [board.title for board in found[1:]]
    assert all("of 40 clips" in title for title in titles) and sum("not recorded" in title for title in titles) == 1
    assert len(set(titles)) == 3


def test_the_table_and_the_files_that_are_left_out(recipes, monkeypatch, capsys):
    (recipes / "egs/b/exp/z/results.json").write_text('{"rows": {"pretrained": {"estoi": 1}}}')
    monkeypatch.chdir(recipes)
    assert main(["leaderboard"]) == 0
    out, error = capsys.readouterr()
    assert "# Protocol p@1" in out and "Computed in several ways, so not to be compared: WER %." in out
    assert "egs/a/exp/x | ground truth | - | 0.10 [0.00, 9.00] | -" in cells(out)
    assert any("egs/b/exp/x | pre-trained | 40 | 2.10 [0.00, 9.00] (2 failed)" in row for row in cells(out))
    assert "exp/z" not in out and "egs/b/exp/z/results.json is damaged ('rows.pretrained.estoi'" in error
    assert main(["leaderboard", "egs/a/exp/x"]) == 0
    assert capsys.readouterr().out.count("egs/a/exp/x") == 2


def test_results_none_of_which_can_be_read_are_an_error(tmp_path, capsys):
    experiment(tmp_path / "x", 0.4)
    (tmp_path / "x/results.json").write_text("{")
    assert main(["leaderboard", str(tmp_path)]) == 1
    out, error = capsys.readouterr()
    assert not out and "x/results.json is damaged" in error
    assert "none of the 1 results can be read; stage 6 with --force makes them again" in error


def test_no_results_are_a_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["leaderboard"]) == 1
    assert "egs/*/exp: no results there" in capsys.readouterr().err
    with pytest.raises(UserError, match="name folders of experiments"):
        find_results([tmp_path])
