"""results.json and results.md: their schema, their numbers, their failures."""

import json
import math

import numpy as np
import pytest

from v2skit.errors import UserError
from v2skit.evaluation.file_scores import FileScores
from v2skit.evaluation.report import write_results
from v2skit.evaluation.score import SystemScores
from v2skit.evaluation.wer import count_edits

ROWS = {"ground_truth": 1.0, "copy_synthesis": 0.9, "scratch": 0.4, "pretrained": 0.5}
PROTOCOLS = {"estoi": "ESTOI of a test", "mcd": "MCD of a test", "wer": "WER of a test"}
DIRECTIONS = {"estoi": True, "mcd": False, "wer": False}
FILES = 30


def system(level, seed):
    """Files whose scores lie around ``level``; fewer words are right where it is lower."""
    random = np.random.default_rng(seed)
    difficulty = np.random.default_rng(0).normal(0, 0.05, FILES)
    files = []
    for number in range(FILES):
        reference = [f"W{number}", "A", "B", "C", "D", "E"][: 4 + number % 3]
        wrong = round((1 - level) * len(reference))
        edits = count_edits(reference, ["X"] * wrong + reference[wrong:])
        estoi = level + difficulty[number] + random.normal(0, 0.01)
        values = {"estoi": estoi, "mcd": 12 * (1 - level) - estoi, "wer": edits.errors / edits.words}
        files.append(FileScores(f"u{number}", values, {}, edits, reference))
    return SystemScores(files, PROTOCOLS, DIRECTIONS)


@pytest.fixture
def rows():
    return {name: system(level, seed) for seed, (name, level) in enumerate(ROWS.items())}


def written(rows, folder, **options):
    write_results(rows, folder, **{"bootstrap": 500, **options})
    text = (folder / "results.json").read_text(encoding="utf-8")
    assert "NaN" not in text and "Infinity" not in text
    return json.loads(text), (folder / "results.md").read_text(encoding="utf-8")


def fail(scores, numbers, reason, names=("estoi", "mcd", "wer")):
    for number in numbers:
        for name in names:
            del scores.files[number].values[name]
            scores.files[number].failures[name] = reason


def test_json_has_a_number_and_an_interval_for_every_row_and_metric(rows, tmp_path):
    results, _ = written(rows, tmp_path / "new folder")
    assert list(results["rows"]) == list(ROWS)
    for name, entries in results["rows"].items():
        assert list(entries) == ["estoi", "mcd", "wer"]
        for entry in entries.values():
            assert list(entry) == ["mean", "low", "high", "n", "failed"]
            assert entry["low"] <= entry["mean"] <= entry["high"] and (entry["n"], entry["failed"]) == (FILES, 0)
        mean = np.mean([f.values["estoi"] for f in rows[name].files])
        assert entries["estoi"]["mean"] == pytest.approx(mean, abs=1e-6)


def test_time_aligned_scores_have_a_table_of_their_own(rows, tmp_path):
    plain, _ = written(rows, tmp_path)
    assert "aligned" not in plain
    for name, row in rows.items():
        for file in row.files:
            lag = {"lag_ms": 0.0 if name == "ground_truth" else 12.0}
            file.aligned = FileScores(file.id, {"estoi": file.values["estoi"] + 0.05, "mcd": 1.0, **lag})
    del rows["scratch"].files[3].aligned.values["estoi"]
    rows["scratch"].files[3].aligned.failures["estoi"] = "undefined"
    results, table = written(rows, tmp_path)
    found = results["aligned"]["rows"]
    assert list(found) == list(ROWS) and list(found["scratch"]) == ["estoi", "mcd", "lag_ms"]
    expected = results["rows"]["pretrained"]["estoi"]["mean"] + 0.05
    assert found["pretrained"]["estoi"]["mean"] == pytest.approx(expected, abs=1e-5)
    assert found["scratch"]["estoi"]["failed"] == 1 and found["scratch"]["lag_ms"]["mean"] == 12
    section = table.partition("## Time-aligned")[2]
    assert "| system | ESTOI ↑ | MCD ↓ | lag, ms |" in section and "| 12.0 [12.0, 12.0] |" in section
    assert "* lag, ms: lag of the hypothesis" in section
    assert {key: value for key, value in results.items() if key != "aligned"} == plain


def test_wer_is_per_cent_of_all_words_of_the_set(rows, tmp_path):
    results, _ = written(rows, tmp_path)
    edits = [f.edits for f in rows["scratch"].files]
    pooled = 100 * sum(e.errors for e in edits) / sum(e.words for e in edits)
    assert results["rows"]["scratch"]["wer"]["mean"] == pytest.approx(pooled, abs=1e-6)
    assert results["rows"]["ground_truth"]["wer"] == {"mean": 0, "low": 0, "high": 0, "n": FILES, "failed": 0}
    assert 20 < results["chance_wer"] <= 100


def test_the_paired_difference_excludes_zero_for_a_clear_gap_only(rows, tmp_path):
    results, table = written(rows, tmp_path, pairs=[("pretrained", "scratch"), ("scratch", "missing")])
    assert list(results["differences"]) == ["pretrained - scratch"]
    estoi = results["differences"]["pretrained - scratch"]["estoi"]
    assert 0 < estoi["low"] < 0.1 < estoi["high"] < 0.12 and estoi["n"] == FILES
    assert "## pre-trained minus from scratch" in table
    assert (
        f"* ESTOI: +{estoi['mean']:.3f} [+{estoi['low']:.3f}, +{estoi['high']:.3f}], 30 files: clear for this seed"
        in table
    )
    assert results["differences"]["pretrained - scratch"]["mcd"]["high"] < 0 and "* MCD: -1.3" in table

    same = {"scratch": system(0.4, 1), "pretrained": system(0.4, 2)}
    results, table = written(same, tmp_path)
    estoi = results["differences"]["pretrained - scratch"]["estoi"]
    assert estoi["low"] < 0 < estoi["high"] and "30 files: no clear difference" in table


@pytest.mark.parametrize(("count", "significant"), [(1, False), (5, False), (6, True)])
def test_few_files_have_no_interval_and_no_verdict(count, significant, tmp_path):
    both = {name: system(value, 1) for name, value in (("scratch", 0.2), ("pretrained", 0.6))}
    for row in both.values():
        del row.files[count:]
    results, table = written(both, tmp_path)
    mean = f"| pre-trained | {results['rows']['pretrained']['estoi']['mean']:.3f}"
    assert f"{mean} [" in table if significant else f"{mean} |" in table
    assert (f"{count} files: clear for this seed" in table) == significant
    assert (f"{count} file{'s' if count > 1 else ''}: too few for a verdict" in table) != significant


def test_a_paired_difference_takes_the_files_that_both_have(rows, tmp_path):
    fail(rows["scratch"], (0, 1), "missing: not synthesised")
    fail(rows["pretrained"], (1, 2, 3), "missing: not synthesised")
    results, _ = written(rows, tmp_path)
    assert results["differences"]["pretrained - scratch"]["estoi"]["n"] == FILES - 4
    fail(rows["scratch"], range(2, FILES), "missing: not synthesised")
    results, table = written(rows, tmp_path)
    assert results["differences"]["pretrained - scratch"]["estoi"]["n"] == 0 and "no file has both" in table


def test_failures_are_counted_with_their_reasons(rows, tmp_path):
    fail(rows["scratch"], (3, 5), "missing: not synthesised")
    fail(rows["scratch"], (7,), "PESQ: no speech", ["mcd"])
    fail(rows["pretrained"], range(FILES), "too short", ["estoi"])
    results, table = written(rows, tmp_path)
    entries = results["rows"]["scratch"]
    assert (entries["estoi"]["n"], entries["estoi"]["failed"]) == (FILES - 2, 2)
    assert (entries["mcd"]["n"], entries["mcd"]["failed"]) == (FILES - 3, 3)
    nothing = results["rows"]["pretrained"]["estoi"]
    assert nothing == {"mean": None, "low": None, "high": None, "n": 0, "failed": FILES}
    assert results["failures"]["scratch"]["u7"] == {"mcd": "PESQ: no speech"}
    assert results["failures"]["ground_truth"] == {}
    assert "(2 failed)" in table and "| pre-trained | - (30 failed) |" in table
    assert "* from scratch, ESTOI, MCD, WER %: 2 x missing: not synthesised (u3, u5)" in table
    assert "* from scratch, MCD: 1 x PESQ: no speech (u7)" in table
    assert "30 x too short (u0, u1, u2, u3, u4, u5, u6, u7 and 22 more)" in table


def test_the_table_has_the_four_rows_and_is_a_table(rows, tmp_path):
    results, table = written(rows, tmp_path, notes={"vocoder": "Griffin-Lim"})
    lines = [line for line in table.partition("\n## ")[0].splitlines() if line.startswith("|")]
    assert lines[0] == "| system | ESTOI ↑ | MCD ↓ | WER % ↓ |" and lines[1] == "| --- | --- | --- | --- |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| ground truth", "| copy synthesis", "| from scratch", "| pre-trained",
    ]  # fmt: skip
    assert {line.count("|") for line in lines} == {5}
    entry = results["rows"]["pretrained"]["estoi"]
    assert f"| pre-trained | {entry['mean']:.3f} [{entry['low']:.3f}, {entry['high']:.3f}] |" in table
    assert "95 % confidence intervals (from 6 files on), 500 bootstrap resamples" in table and "None." in table
    assert f"{results['chance_wer']:.1f} %" in table and "* MCD: MCD of a test" in table
    assert "* vocoder: Griffin-Lim" in table


def test_the_same_scores_and_seed_give_the_same_files(rows, tmp_path):
    assert written(rows, tmp_path, seed=3) == written(rows, tmp_path, seed=3)
    first, other = (written(rows, tmp_path, seed=seed)[0]["rows"]["scratch"]["estoi"] for seed in (3, 4))
    assert first != other and math.isclose(first["mean"], other["mean"])


def test_a_set_without_words_has_no_chance_level(tmp_path):
    files = [FileScores("u", {"estoi": 0.5})]
    results, table = written({"scratch": SystemScores(files, {"estoi": "E"}, {"estoi": True})}, tmp_path)
    assert results["chance_wer"] is None and "chance" not in table


def test_wrong_calls_are_refused(rows, tmp_path):
    with pytest.raises(UserError, match="no scores to report; stage 6"):
        write_results({}, tmp_path)
    with pytest.raises(UserError, match="bootstrap 0: at least one resample"):
        write_results(rows, tmp_path, bootstrap=0)
    other = SystemScores(rows["scratch"].files, {**PROTOCOLS, "mcd": "MCD by other means"}, DIRECTIONS)
    with pytest.raises(UserError, match="row 'scratch' was scored by other protocols than 'ground_truth'"):
        write_results({**rows, "scratch": other}, tmp_path)
    assert not (tmp_path / "results.json").exists()
