"""What is published of each corpus, in its class and in its recipe's README."""

import re

import pytest

from tests.conftest import ROOT
from tests.miniatures import touch
from v2skit.corpora.audiovisual.grid import SENTENCES, TALKERS, Grid
from v2skit.corpora.audiovisual.lrs2 import Lrs2
from v2skit.corpora.audiovisual.lrs3 import Lrs3
from v2skit.corpora.audiovisual.lrw import Lrw
from v2skit.corpora.audiovisual.tcd_timit import TcdTimit
from v2skit.corpora.info import Passport
from v2skit.errors import UserError

CORPORA = {"tcd_timit": TcdTimit, "lrw": Lrw, "lrs2": Lrs2, "lrs3": Lrs3}
PASSPORT = Passport("speech", 1.5, 2, "Latin", "none", "ask the Romans", "no", {"train": 10, "test": 2})


def test_counts_are_compared():
    assert PASSPORT.check({"train": 10, "test": 2}) is None and PASSPORT.check({"train": 10, "more": 7}) is None
    assert PASSPORT.check({"train": 9, "test": 3}) == "not the published counts: train 9 of 10, test 3 of 2"


def test_the_folder_is_found_or_asked_for(tmp_path):
    touch(tmp_path / "corpus/unpacked/train/1.mp4")

    def root(directory):
        return PASSPORT.root(directory, ("", "unpacked"), lambda folder: (folder / "train").is_dir(), "train/*.mp4")

    assert root(tmp_path / "corpus") == root(tmp_path / "corpus/unpacked") == tmp_path / "corpus/unpacked"
    faults = ((None, "no corpus given"), (tmp_path / "no", "is not a folder"), (tmp_path, "has no train/"))
    for directory, message in faults:
        with pytest.raises(UserError, match=f"{message}.*ask the Romans"):
            root(directory)


@pytest.mark.parametrize("name", CORPORA)
def test_the_figures_of_the_recipe_are_the_passports(name):
    passport = CORPORA[name].passport
    text = (ROOT / f"egs/{name}/README.md").read_text(encoding="utf-8")
    hours = f"{passport.hours:,g} h" if passport.hours else "hours: not confirmed"
    speakers = f"{passport.speakers:,}" if passport.speakers else "not confirmed"
    rows = {
        "what": passport.what,
        "size": f"{hours}; speakers: {speakers}",
        "languages": passport.languages,
        "licence": passport.licence,
        "can it be had": passport.available,
        **{part: f"{count:,}" for part, count in passport.counts.items()},
    }
    assert rows.items() <= dict(re.findall(r"^\| (.+?) \| (.+?) \|$", text, re.MULTILINE)).items()
    assert "--corpus_dir" in passport.where and "--corpus_dir" in text


def test_the_figures_of_grid():
    passport = Grid.passport
    text = (ROOT / "egs/grid/README.md").read_text(encoding="utf-8")
    assert f"{passport.speakers} talkers" in text and f"{passport.hours:g} h" in text
    assert f"| licence | {passport.licence} |" in text and f"| what | {passport.what} |" in text
    assert sum(passport.counts.values()) == len(TALKERS) * SENTENCES == 33000
