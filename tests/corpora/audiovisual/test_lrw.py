"""LRW's layout, split and word boundaries."""

import pytest

from tests.miniatures import check_absent, check_utterances, clip, prepared, recipe, register, run_recipe, touch
from v2skit.corpora.audiovisual.lrw import Lrw, duration
from v2skit.errors import UserError

TEXT = "Disk reference: 5123\nChannel: BBC One\nProgram start: 2015-01-01\nClip start: 12.3\nDuration: 0.53 seconds\n"
TEN = "ABOUT ABSOLUTELY ABUSE ACCESS ACCORDING ACCUSED ACROSS ACTION ACTUALLY AFFAIRS".split()


def make(folder, words=("ABOUT", "ABSOLUTELY", "YOUNG"), counts=(4, 2, 3), make_clip=touch):
    for word in words:
        for part, count in zip(("train", "val", "test"), counts, strict=True):
            for number in range(1, count + 1):
                make_clip(folder / f"lipread_mp4/{word}/{part}/{word}_{number:05d}.mp4", TEXT)
    return str(folder)


def test_the_official_split(tmp_path):
    corpus = Lrw(tmp_path, make(tmp_path / "lrw"))
    splits = corpus.splits()
    assert {name: len(found) for name, found in splits.items()} == {"train": 12, "valid": 6, "test": 9}
    utterances = check_utterances(splits)
    assert {s.text for s in utterances} == {"ABOUT", "ABSOLUTELY", "YOUNG"}
    assert len({s.speaker for s in utterances}) == 27
    assert "public <word> = about | absolutely | young;" in corpus.grammar()
    assert Lrw(tmp_path, str(tmp_path / "lrw"), closed_grammar=False).grammar() is None
    assert all(f"/{s.id.split('-')[1]}/" in str(s.video) for s in utterances)
    message = corpus.obtain()
    assert "3 words" in message and "train 12 of 488766" in message and not (tmp_path / "corpus").exists()
    assert splits == Lrw(tmp_path, str(tmp_path / "lrw/lipread_mp4")).splits()


def test_some_words(tmp_path):
    folder = make(tmp_path / "lrw")
    splits = Lrw(tmp_path, folder, words=["young", "ABOUT"]).splits()
    assert list(splits) == ["words2/train", "words2/valid", "words2/test"]
    assert [len(found) for found in splits.values()] == [8, 4, 6]
    assert "published" not in Lrw(tmp_path, folder, words=["ABOUT"]).obtain()
    with pytest.raises(UserError, match="has no 'ABOUTT'; did you mean 'ABOUT'"):
        Lrw(tmp_path, folder, words=["ABOUTT"]).obtain()
    with pytest.raises(UserError, match="the list is empty"):
        Lrw(tmp_path, folder, words=[])


def test_word_boundaries(tmp_path):
    folder = make(tmp_path / "lrw", ("ABOUT",), (1, 1, 1))
    (tmp_path / "lrw/lipread_mp4/ABOUT/val/ABOUT_00001.txt").unlink()
    assert f"times of 2 words in {tmp_path}/corpus/words.ctm" in Lrw(tmp_path, folder, word_times=True).obtain()
    lines = (tmp_path / "corpus/words.ctm").read_text().splitlines()
    # 29 frames are 1.16 s: 0.315 s before the word and after it.
    assert lines[1].rsplit(" ", 3) == ["ABOUT-test-00001 1", "0.31", "0.53", "ABOUT"] and len(lines) == 2
    assert duration(tmp_path / "none.txt") is None


def test_what_is_missing_is_named(tmp_path):
    check_absent(Lrw, tmp_path)
    folder = make(tmp_path / "lrw", counts=(2, 0, 1))
    with pytest.raises(UserError, match="has no ABOUT/val/.*bbc.co.uk"):
        Lrw(tmp_path, folder).obtain()
    touch(tmp_path / "lrw/lipread_mp4/ABOUT/train/._ABOUT_00001.mp4")
    touch(tmp_path / "lrw/lipread_mp4/ABOUT/val/ABOUT_00001.mp4")
    assert len(Lrw(tmp_path, folder).splits()["train"]) == 6


def test_every_stage(tmp_path):
    register("lrw", "v2skit.corpora.audiovisual.lrw:Lrw")
    make(tmp_path / "lrw", TEN, (1, 1, 1), clip)
    run_recipe(recipe("lrw"), tmp_path, {"corpus_dir": str(tmp_path / "lrw")})
    assert [u.text for u in prepared(tmp_path, "words10/test")] == TEN
    assert len((tmp_path / "corpus/words.ctm").read_text().splitlines()) == 30
