"""Scores of listening tests: numbers known by hand, inattentive listeners, files that do not fit."""

import json

import numpy as np
import pytest

from v2skit.errors import UserError
from v2skit.evaluation.listening_scores import crossed_interval, score, to_markdown

TRIALS = [
    {"id": "t1", "clip": "a", "group": "", "systems": {"x1": "x"}, "limits": {}, "counts": True},
    {"id": "t2", "clip": "b", "group": "", "systems": {"x2": "x"}, "limits": {}, "counts": True},
    {"id": "t3", "clip": "a", "group": "", "systems": {"y1": "y"}, "limits": {}, "counts": True},
    {"id": "t4", "clip": "b", "group": "", "systems": {"n1": "noise"}, "limits": {"n1": [1, 2]}, "counts": False},
]
KEY = {"test": "abc", "kind": "mos", "unit": "MOS, 1 to 5", "factor": 1.0, "seed": 1, "trials": TRIALS}


@pytest.fixture
def key(tmp_path):
    path = tmp_path / "test.key.json"
    path.write_text(json.dumps(KEY))
    return path


def answers(folder, listener, ratings, test="abc"):
    """A file with the ratings of the trials' sounds, in order."""
    found = [
        {"trial": trial["id"], "ratings": dict(zip(trial["systems"], [rating], strict=True))}
        for trial, rating in zip(TRIALS, ratings, strict=False)
    ]
    path = folder / f"{listener}.json"
    path.write_text(json.dumps({"test": test, "listener": listener, "answers": found}))
    return path


def test_means_are_those_of_the_ratings(key, tmp_path):
    files = [answers(tmp_path, "p1", [4, 2, 1, 1]), answers(tmp_path, "p2", [5, 3, 2, 2])]
    results = score(key, files, resamples=500)
    rows = {row["system"]: row for row in results["rows"]}
    assert rows.keys() == {"x", "y"} and rows["x"]["mean"] == 3.5 and rows["y"]["mean"] == 1.5
    assert rows["x"]["n"] == 4 and rows["y"]["n"] == 2 and results["listeners"] == 2
    assert rows["x"]["low"] == 2.0 and rows["x"]["high"] == 5.0  # one listener's ratings of one clip
    assert score(key, files, resamples=500) == results


def test_inattentive_listeners_are_excluded_and_counted(key, tmp_path):
    files = [answers(tmp_path, "p1", [4, 2, 1, 1]), answers(tmp_path, "p2", [5, 5, 5, 5])]
    results = score(key, files, resamples=100)
    assert results["listeners"] == 1 and results["excluded"] == {"p2": [1, 1]}
    assert next(row["mean"] for row in results["rows"] if row["system"] == "x") == 3.0
    assert "Excluded for failed attention checks: 1: p2 (1 of 1)." in to_markdown(results)
    with pytest.raises(UserError, match="no listener passed the attention checks; ask more"):
        score(key, files[1:])


def test_preferences_are_in_percent_by_pair(tmp_path):
    systems, limits = {"x1": "x", "y1": "y"}, {}
    trial = {"id": "t1", "clip": "a", "group": "x or y", "systems": systems, "limits": limits, "counts": True}
    key = tmp_path / "ab.key.json"
    key.write_text(json.dumps({**KEY, "unit": "preferred, %", "factor": 100, "trials": [trial]}))
    files = []
    for listener, ratings in {"p1": (1, 0), "p2": (1, 0), "p3": (0, 1), "p4": (0.5, 0.5)}.items():
        answer = {"trial": "t1", "ratings": dict(zip(systems, ratings, strict=True))}
        files.append(tmp_path / f"{listener}.json")
        files[-1].write_text(json.dumps({"test": "abc", "listener": listener, "answers": [answer]}))
    results = score(key, files, resamples=200)
    assert {row["system"]: row["mean"] for row in results["rows"]} == {"x": 62.5, "y": 37.5}
    assert "| x or y | x | 62.50 [" in to_markdown(results)


def test_the_interval_covers_the_mean_of_new_listeners_and_clips():
    """Both vary; an interval over ratings alone would cover far less often than 95 %."""
    random, covered = np.random.default_rng(0), 0
    for trial in range(100):
        ratings = random.normal(0, 1, (12, 1)) + random.normal(0, 1, (1, 12)) + random.normal(0, 0.5, (12, 12))
        _, low, high = crossed_interval(ratings, np.ones((12, 12)), 300, trial)
        covered += low <= 0 <= high
    assert 85 <= covered <= 100


def test_files_that_do_not_fit_are_named(key, tmp_path):
    good = answers(tmp_path, "p1", [4, 2, 1, 1])
    other = answers(tmp_path, "p3", [4, 2, 1, 1], test="xyz")
    short = answers(tmp_path, "p4", [4, 2])
    wrong = tmp_path / "wrong.json"
    wrong.write_text(good.read_text().replace('"x1"', '"x9"').replace("p1", "p5"))
    for first, files, message in [
        (key, [good, good], "listener 'p1' has two files"),
        (key, [other], "p3.json is of another listening test"),
        (key, [short], "p4.json is damaged .*an answer is missing"),
        (key, [wrong], "wrong.json is damaged .*ratings of other sounds"),
        (key, [tmp_path / "none.json"], "none.json does not exist"),
        (good, [good], "is not the key of a listening test"),
    ]:
        with pytest.raises(UserError, match=message):
            score(first, files)
