"""LRS3's layout, texts, and splits of unseen talks."""

import pytest

from tests.miniatures import check_absent, check_utterances, clip, prepared, recipe, register, run_recipe, touch
from v2skit.corpora.audiovisual.lrs import read_text
from v2skit.corpora.audiovisual.lrs3 import SVTS, Lrs3
from v2skit.errors import UserError

TALKS = [f"-{n:02d}_TalkId0" for n in range(40)]
SENTENCE = "Text:  DON'T LOOK {LG} BACK NOW\nConf:  3\nRef:  00j9bKdiOjk\n\nFRAME X Y W H\n001 0.1 0.2 0.3 0.3\n"
PASSAGE = "Text:  TWO WORDS\nConf:  2\n\nWORD START END ASDSCORE\nTWO 0.08 0.49 7.3\nWORDS 0.49 1.00 6.1\n"


def make(folder, talks=TALKS, tested=("0QVXdEOiCw8", "1bnzVjOJ6NM"), make_clip=touch, pretrain=True):
    for talk in talks:
        if pretrain:
            make_clip(folder / f"pretrain/{talk}/00001.mp4", PASSAGE)
        make_clip(folder / f"trainval/{talk}/50001.mp4", SENTENCE)
    for talk in tested:
        make_clip(folder / f"test/{talk}/00001.mp4", SENTENCE)
    return str(folder)


def speakers(splits):
    return [{s.speaker for s in found} for found in splits.values()]


def test_talks_are_unseen(tmp_path):
    splits = Lrs3(tmp_path, make(tmp_path / "lrs3")).splits()
    assert list(splits) == ["unseen/train", "unseen/valid", "unseen/test"]
    assert len(check_utterances(splits)) == 82
    train, valid, test = speakers(splits)
    assert not (train & valid or train & test or valid & test) and train | valid == set(TALKS) and 1 <= len(valid) < 8
    assert {s.text for s in splits["unseen/train"]} == {"DON'T LOOK BACK NOW", "TWO WORDS"}
    fewer = Lrs3(tmp_path, str(tmp_path / "lrs3"), "trainval").splits()
    assert speakers(fewer) == [train, valid, test] and sum(map(len, fewer.values())) == 42


def test_a_tested_talk_is_not_trained_on(tmp_path):
    folder = make(tmp_path / "lrs3", tested=(TALKS[0], "1bnzVjOJ6NM"))
    splits = Lrs3(tmp_path, folder).splits()
    check_utterances(splits)
    train, valid, test = speakers(splits)
    assert TALKS[0] in test and TALKS[0] not in train | valid


def test_lists_replace_the_split(tmp_path):
    folder = make(tmp_path / "lrs3")
    (tmp_path / "lists").mkdir()
    lists = {
        "train": [f"pretrain/{TALKS[0]}/00001", f"trainval/{TALKS[1]}/50001", f"trainval/{TALKS[1]}/50009"],
        "val": [f"trainval/{TALKS[2]}/50001"],
        "test": ["test/0QVXdEOiCw8/00001"],
    }
    for part, names in lists.items():
        (tmp_path / f"lists/lrs3_unseen_{part}.txt").write_text("\n".join(names) + "\n")
    corpus = Lrs3(tmp_path, folder, lists="lists")
    splits = corpus.splits()
    assert {name: len(found) for name, found in splits.items()} == {"lists/train": 2, "lists/valid": 1, "lists/test": 1}
    assert "lists of 3 train, 1 valid, 1 test, of which missing: 1" in corpus.obtain()
    (tmp_path / "lists/lrs3_unseen_val.txt").write_text("trainval/none/1\n")
    with pytest.raises(UserError, match="no clip of the list of lists/valid in"):
        Lrs3(tmp_path, folder, lists="lists").splits()
    (tmp_path / "lists/lrs3_unseen_val.txt").write_text(lists["train"][0])
    with pytest.raises(UserError, match="in two of the lists"):
        Lrs3(tmp_path, folder, lists="lists").splits()
    (tmp_path / "lists/lrs3_unseen_val.txt").unlink()
    with pytest.raises(UserError, match=r"must have one file \*val.txt, it has 0"):
        Lrs3(tmp_path, folder, lists="lists").splits()


def test_svts_lists_are_known(tmp_path, monkeypatch):
    folder = make(tmp_path / "lrs3")
    corpus = Lrs3(tmp_path, folder, lists="lists")
    counts = {"train": 131168, "valid": 6837, "test": 1308}
    assert counts == SVTS
    monkeypatch.setattr("v2skit.corpora.audiovisual.lrs3.SVTS", {"train": 1, "valid": 1, "test": 1})
    (tmp_path / "lists").mkdir()
    for part, name in (("train", TALKS[0]), ("val", TALKS[1])):
        (tmp_path / f"lists/{part}.txt").write_text(f"trainval/{name}/50001\n")
    (tmp_path / "lists/test.txt").write_text("test/0QVXdEOiCw8/00001\n")
    assert "; SVTS's lists; " in corpus.obtain()


def test_counts_and_mistakes(tmp_path):
    folder = make(tmp_path / "lrs3")
    message = Lrs3(tmp_path, folder).obtain()
    assert "40 pretrain, 40 trainval, 2 test" in message and "pretrain 40 of 118516" in message
    assert "untranscribed" not in message
    (tmp_path / f"lrs3/trainval/{TALKS[0]}/50001.txt").unlink()
    assert "untranscribed: 1" in Lrs3(tmp_path, folder).obtain()
    check_absent(Lrs3, tmp_path)
    with pytest.raises(UserError, match="did you mean 'unseen'"):
        Lrs3(tmp_path, folder, "unsen")
    make(tmp_path / "part", pretrain=False)
    with pytest.raises(UserError, match="has no pretrain/.*which split 'unseen' needs.*no longer distributed"):
        Lrs3(tmp_path, "part").obtain()
    assert "trainval/train" in Lrs3(tmp_path, "part", "trainval").obtain()
    make(tmp_path / "few", TALKS[:1])
    with pytest.raises(UserError, match="1 talks can't fill"):
        Lrs3(tmp_path, "few").splits()


def test_word_times(tmp_path):
    folder = make(tmp_path / "lrs3", TALKS[:2], ("0QVXdEOiCw8",))
    assert "times of 4 words in" in Lrs3(tmp_path, folder, word_times=True).obtain()
    lines = (tmp_path / "corpus/words.ctm").read_text().splitlines()
    assert f"{TALKS[0]}-pretrain-00001 1 0.49 0.51 WORDS" in lines
    path = tmp_path / "cut.txt"
    path.write_text(PASSAGE + "CUT 1.0\n")
    with pytest.raises(UserError, match="'CUT 1.0' is no word with its times"):
        read_text(path)


def test_every_stage(tmp_path):
    register("lrs3", "v2skit.corpora.audiovisual.lrs3:Lrs3")
    make(tmp_path / "lrs3", TALKS[:8], make_clip=clip, pretrain=False)
    run_recipe(recipe("lrs3"), tmp_path, {"corpus_dir": str(tmp_path / "lrs3")})
    assert [u.speaker for u in prepared(tmp_path, "trainval/test")] == ["0QVXdEOiCw8", "1bnzVjOJ6NM"]
