"""LRS2's layout and lists."""

import pytest

from tests.miniatures import check_absent, check_utterances, clip, prepared, recipe, register, run_recipe, touch
from v2skit.corpora.audiovisual.lrs2 import Lrs2
from v2skit.errors import UserError

LISTS = {
    "train": ["5535415699068794046/00001", "5535415699068794046/00002", "5535423430009926848/00001"],
    "val": ["6330311066473698535/00011"],
    "test": ["6330311066473698535/00018 NF", "6331559613336179781/00022 MV"],
}
PRETRAIN = ["5535415699068794046/00001", "5700000000000000000/00007"]
TEXT = "Text:  WHEN YOU'RE COOKING CHIPS AT HOME\nConf:  4\n"
TIMES = "Text:  AND NOW\nConf:  4\n\nWORD START END ASDSCORE\nAND 0.10 0.30 5.0\nNOW 0.30 0.48 5.0\n"


def make(folder, make_clip=touch, lists_in="mvlrs_v1"):
    for names in LISTS.values():
        for name in names:
            make_clip(folder / f"mvlrs_v1/main/{name.split()[0]}.mp4", TEXT)
    for name in PRETRAIN:
        make_clip(folder / f"mvlrs_v1/pretrain/{name}.mp4", TIMES)
    make_clip(folder / "mvlrs_v1/main/1/00001.mp4", TEXT)  # in no list
    for part, names in LISTS.items():
        (folder / lists_in / f"{part}.txt").write_text("\n".join(names) + "\n")
    return str(folder)


def test_the_official_lists(tmp_path):
    corpus = Lrs2(tmp_path, make(tmp_path / "lrs2"))
    splits = corpus.splits()
    assert {name: len(found) for name, found in splits.items()} == {"main/train": 3, "main/valid": 1, "main/test": 2}
    utterances = check_utterances(splits)
    assert {s.text for s in utterances} == {"WHEN YOU'RE COOKING CHIPS AT HOME"}
    assert [s.id for s in splits["main/test"]] == ["6330311066473698535-main-00018", "6331559613336179781-main-00022"]
    message = corpus.obtain()
    assert (
        "3 train, 1 val, 2 test" in message and "train 3 of 45839" in message and "missing of the lists" not in message
    )


def test_pretrain_joins(tmp_path):
    corpus = Lrs2(tmp_path, make(tmp_path / "lrs2"), "all", word_times=True)
    splits = corpus.splits()
    assert len(splits["all/train"]) == 5, "the same name in both folders is two clips"
    assert len(check_utterances(splits)) == 8
    assert "pretrain 2 of 96318" in corpus.obtain()
    lines = (tmp_path / "corpus/words.ctm").read_text().splitlines()
    assert "5700000000000000000-pretrain-00007 1 0.30 0.18 NOW" in lines


@pytest.mark.parametrize(("below", "lists_in"), [("", "."), ("mvlrs_v1", "mvlrs_v1"), ("mvlrs_v1", ".")])
def test_where_the_lists_lie(tmp_path, below, lists_in):
    make(tmp_path / "lrs2", lists_in=lists_in)
    assert len(check_utterances(Lrs2(tmp_path, f"lrs2/{below}").splits())) == 6


def test_what_is_missing_is_named(tmp_path):
    check_absent(Lrs2, tmp_path)
    folder = make(tmp_path / "lrs2")
    (tmp_path / "lrs2/mvlrs_v1/main/5535415699068794046/00002.mp4").unlink()
    assert "missing of the lists: 1" in Lrs2(tmp_path, folder).obtain()
    (tmp_path / "lrs2/mvlrs_v1/val.txt").write_text("1/00009\n")
    with pytest.raises(UserError, match="has no clip of val.txt"):
        Lrs2(tmp_path, folder).obtain()
    (tmp_path / "lrs2/mvlrs_v1/test.txt").unlink()
    with pytest.raises(UserError, match="has no test.txt, the corpus's own list.*lrs2.html"):
        Lrs2(tmp_path, folder).obtain()
    (tmp_path / "lrs2/mvlrs_v1/pretrain").rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="has no pretrain/.*which split 'all' needs"):
        Lrs2(tmp_path, folder, "all").obtain()


def test_every_stage(tmp_path):
    register("lrs2", "v2skit.corpora.audiovisual.lrs2:Lrs2")
    make(tmp_path / "lrs2", clip)
    run_recipe(recipe("lrs2"), tmp_path, {"corpus_dir": str(tmp_path / "lrs2")})
    assert len(prepared(tmp_path, "main/train")) == 3 and len(prepared(tmp_path, "main/test")) == 2
