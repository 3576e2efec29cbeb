"""Scores by talker and by word of the sentence, in results and from stored scores."""

import json
from dataclasses import asdict

import pytest

from tests.conftest import make_data
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.evaluation.breakdown import break_down
from v2skit.evaluation.breakdown_text import sections
from v2skit.evaluation.file_scores import FileScores
from v2skit.evaluation.stored_scores import read_rows, scored_folders, talkers
from v2skit.evaluation.wer import count_edits
from v2skit.evaluation.word_alignment import aligned

CLIPS = [
    ("s1-a", "BIN BLUE AT F", "BIN BLUE AT S"),
    ("s1-b", "BIN RED AT F", "BIN RED F"),
    ("s2-c", "LAY RED AT F", "LAY RED AT S"),
    ("s2-d", "LAY RED AT A", None),
]


def scores(clips):
    """Of (id, reference, hypothesis); without a hypothesis nothing was recognised."""
    files = []
    for number, (name, reference, hypothesis) in enumerate(clips):
        words, heard = reference.split(), (hypothesis or "").split()
        edits = None if hypothesis is None else count_edits(words, heard)
        values = {"estoi": 0.2 * number, "pesq_wb": 1.5, **({} if edits is None else {"wer": 0.5})}
        files.append(FileScores(name, values, {}, edits, words, heard))
    return files


def stored(folder, clips):
    folder.mkdir(parents=True)
    (folder / "scores.jsonl").write_text("".join(f"{json.dumps(asdict(file))}\n" for file in scores(clips)))
    return folder


def tables(output):
    """Cells of the rows of each table, without the line below the header."""
    blocks = [[line for line in block.splitlines() if line.startswith("|")] for block in output.split("\n\n")]
    return [[row.strip("| ").split(" | ") for row in (rows[0], *rows[2:])] for rows in blocks if rows]


def test_talkers_and_slots():
    speakers = {name: name[:2] for name, _, _ in CLIPS}
    found = break_down({"pretrained": scores(CLIPS)}, speakers)
    assert found["talkers"]["pretrained"] == {
        "s1": {"n": 2, "estoi": 0.1, "pesq_wb": 1.5, "wer": 25.0},
        "s2": {"n": 2, "estoi": 0.5, "pesq_wb": 1.5, "wer": 25.0},
        "all": {"n": 4, "estoi": 0.3, "pesq_wb": 1.5, "wer": 25.0},
    }
    assert found["slots"]["errors"] == {"pretrained": [0.0, 0.0, 33.333, 66.667]}
    assert found["slots"]["confusions"]["pretrained"][2:] == [[("AT", None, 1, 3)], [("F", "S", 2, 3)]]
    assert "sounds" not in found
    many = {f"x{number}-{name}": name for number in range(3) for name in "abc"}
    text = sections(break_down({"r": [FileScores(key, {"estoi": 0.5}) for key in many]}, many), str, str, 2)
    assert text[-1].startswith("3 talkers: `v2skit breakdown`")


def test_the_command_prints_talkers_slots_and_confusions(tmp_path, capsys):
    stored(tmp_path / "synth/pretrained", CLIPS)
    assert main(["breakdown", str(tmp_path), "--confusions", "4"]) == 0
    by_talker, slots, *_, confusions = tables(capsys.readouterr().out)
    assert by_talker == [
        ["system", "talker", "n", "ESTOI", "PESQ-WB", "WER %"],
        ["pre-trained", "s1", "2", "0.100", "1.50", "25.0"],
        ["pre-trained", "s2", "2", "0.500", "1.50", "25.0"],
        ["pre-trained", "all", "4", "0.300", "1.50", "25.0"],
    ]
    assert slots == [["system", "1", "2", "3", "4"], ["pre-trained", "0", "0", "33", "67"]]
    assert confusions[1:] == [["pre-trained", "F", "S", "2 of 3"]]
    assert main(["breakdown", str(tmp_path / "synth/pretrained"), "--confusions", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "| pre-trained | AT | (deleted) | 1 of 3 |"
    assert main(["breakdown", str(tmp_path), "--confusions", "5"]) == 1
    assert "from 1 to 4" in capsys.readouterr().err


def test_sentences_of_unequal_length_have_no_slots(tmp_path, capsys):
    folder = stored(tmp_path / "pretrained", [*CLIPS, ("s1-e", "BIN", "BIN LAY")])
    assert main(["breakdown", str(folder)]) == 0
    assert "By word" not in capsys.readouterr().out
    assert main(["breakdown", str(folder), "--confusions", "1"]) == 1
    assert "same number of words" in capsys.readouterr().err


def test_scores_without_anything_to_break_down_are_named(tmp_path, capsys):
    assert main(["breakdown", str(stored(tmp_path / "pretrained", CLIPS[3:]))]) == 1
    assert "there is nothing to break down" in capsys.readouterr().err


def test_talkers_are_those_of_the_data_directory(tmp_path, capsys):
    utterances = make_data(tmp_path / "data", 2, video=False)
    known = stored(tmp_path / "known", [(u.id, u.text, u.text) for u in utterances])
    assert main(["breakdown", str(known), "--data", str(tmp_path / "data")]) == 0
    assert [row[1] for row in tables(capsys.readouterr().out)[0][1:]] == [*(u.speaker for u in utterances), "all"]
    rows = read_rows(scored_folders([stored(tmp_path / "unknown", CLIPS)]))
    with pytest.raises(UserError, match="no utterance s1-a"):
        talkers(rows, {})


def test_stored_scores_are_read_back_and_damage_is_named(tmp_path):
    folder = stored(tmp_path / "one/pretrained", CLIPS)
    assert read_rows({"pretrained": folder}) == {"pretrained": scores(CLIPS)}
    other = stored(tmp_path / "two/pretrained", CLIPS[:1])
    assert list(scored_folders([folder, other])) == [str(folder), str(other)]
    line = json.loads((other / "scores.jsonl").read_text())
    old = {key: line[key] for key in ("id", "values", "failures", "edits", "reference", "hypothesis")}
    (other / "scores.jsonl").write_text(json.dumps({**old, "later": 1}))  # of another version
    assert read_rows({"pretrained": other})["pretrained"] == scores(CLIPS[:1])
    (other / "scores.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match="is damaged"):
        read_rows({"pretrained": other})
    with pytest.raises(UserError, match="stage 6 writes them"):
        scored_folders([tmp_path])


@pytest.mark.parametrize("hypothesis", ["A B C", "A X C", "B C", "A", "", "X A B C", "C A B X"])
def test_an_alignment_has_the_edits_of_the_word_error_rate(hypothesis):
    reference, heard = "A B C".split(), hypothesis.split()
    found = aligned(reference, heard)
    assert len(found) == 3
    inserted = len(heard) - sum(word is not None for word in found)
    wrong = sum(word != other for word, other in zip(reference, found, strict=True))
    assert wrong + inserted == count_edits(reference, heard).errors
