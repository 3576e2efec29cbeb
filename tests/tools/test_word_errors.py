import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT, make_data
from tools.word_errors import aligned
from v2skit.evaluation.wer import count_edits


def write_scores(folder, clips):
    """``scores.jsonl`` of (id, reference, hypothesis); without a hypothesis nothing was recognised."""
    folder.mkdir()
    lines = []
    for number, (name, reference, hypothesis) in enumerate(clips):
        words, heard = reference.split(), (hypothesis or "").split()
        edits = None if hypothesis is None else vars(count_edits(words, heard))
        values = {"estoi": 0.2 * number, "pesq_wb": 1.5}
        line = {"id": name, "values": values, "edits": edits, "reference": words, "hypothesis": heard}
        lines.append(json.dumps(line) + "\n")
    (folder / "scores.jsonl").write_text("".join(lines))
    return folder / "scores.jsonl"


def run(*arguments):
    command = [sys.executable, ROOT / "tools/word_errors.py", *arguments]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)


def tables(output):
    """Cells of the rows of each table, without the line below the header."""
    blocks = [[line for line in block.splitlines() if line.startswith("|")] for block in output.split("\n\n")]
    return [[row.strip("| ").split(" | ") for row in (rows[0], *rows[2:])] for rows in blocks if rows]


CLIPS = [
    ("s1-a", "BIN BLUE AT F", "BIN BLUE AT S"),
    ("s1-b", "BIN RED AT F", "BIN RED F"),
    ("s2-c", "LAY RED AT F", "LAY RED AT S"),
    ("s2-d", "LAY RED AT A", None),
]


def test_talkers_slots_and_confusions(tmp_path):
    scores = write_scores(tmp_path / "pretrained", CLIPS)
    done = run(scores, "--confusions", "4")
    assert done.returncode == 0, done.stderr
    talkers, slots, confusions = tables(done.stdout)
    assert talkers[0][1:] == ["talker", "n", "ESTOI", "PESQ-WB", "WER %"]
    assert [row[1:] for row in talkers[1:]] == [
        ["s1", "2", "0.100", "1.50", "25.0"],
        ["s2", "2", "0.500", "1.50", "25.0"],
        ["all", "4", "0.300", "1.50", "25.0"],
    ]
    assert slots == [["speech", "1", "2", "3", "4"], [str(tmp_path / "pretrained"), "0", "0", "33", "67"]]
    assert [row[1:] for row in confusions] == [["reference", "recognised", "clips"], ["F", "S", "2 of 3"]]
    assert run(scores, "--confusions", "3").stdout.splitlines()[-1].endswith("| AT | (deleted) | 1 of 3 |")
    assert "from 1 to 4" in run(scores, "--confusions", "5").stderr


def test_sentences_of_unequal_length_have_no_slots(tmp_path):
    scores = write_scores(tmp_path / "pretrained", [*CLIPS, ("s1-e", "BIN", "BIN LAY")])
    done = run(scores)
    assert done.returncode == 0 and len(tables(done.stdout)) == 1
    assert "same number of words" in run(scores, "--confusions", "1").stderr


def test_talkers_are_those_of_the_data_directory(tmp_path):
    utterances = make_data(tmp_path / "data", 2, video=False)
    clips = [(u.id, u.text, u.text) for u in utterances]
    done = run(write_scores(tmp_path / "known", clips), "--data", tmp_path / "data")
    assert [row[1] for row in tables(done.stdout)[0][1:]] == [*(u.speaker for u in utterances), "all"], done.stderr
    done = run(write_scores(tmp_path / "unknown", CLIPS), "--data", tmp_path / "data")
    assert done.returncode and "no utterance s1-a" in done.stderr


@pytest.mark.parametrize("hypothesis", ["A B C", "A X C", "B C", "A", "", "X A B C", "C A B X"])
def test_an_alignment_has_the_edits_of_the_word_error_rate(hypothesis):
    reference, heard = "A B C".split(), hypothesis.split()
    found = aligned(reference, heard)
    assert len(found) == 3
    inserted = len(heard) - sum(word is not None for word in found)
    wrong = sum(word != other for word, other in zip(reference, found, strict=True))
    assert wrong + inserted == count_edits(reference, heard).errors
