"""What is published of each corpus: the same in its class and in its recipe's README."""

import dataclasses
import re

import pytest

from tests.conftest import ROOT
from tests.miniatures import touch
from v2skit.corpora.audiovisual.lrs2 import Lrs2
from v2skit.corpora.audiovisual.lrs3 import Lrs3
from v2skit.corpora.audiovisual.lrw import Lrw
from v2skit.corpora.audiovisual.tcd_timit import TcdTimit
from v2skit.corpora.info import CorpusInfo
from v2skit.errors import UserError

CORPORA = {"tcd_timit": TcdTimit, "lrw": Lrw, "lrs2": Lrs2, "lrs3": Lrs3}
INFO = CorpusInfo("ask the Romans, {corpus_dir}, {download}", counts={"train": 10, "test": 2})


def test_counts_are_compared():
    assert INFO.differences({"train": 10, "test": 2}) is None and INFO.differences({"train": 10, "more": 7}) is None
    assert INFO.differences({"train": 9, "test": 3}) == "not the published counts: train 9 of 10, test 3 of 2"


def test_the_remedy_names_the_options_of_the_corpus():
    assert INFO.remedy == "ask the Romans, --corpus_dir, --set corpus.download=true"
    part = dataclasses.replace(INFO, key="corpus.corpora.one")
    options = "--set corpus.corpora.one.corpus_dir=DIR, --set corpus.corpora.one.download=true"
    assert part.remedy == f"ask the Romans, {options}" and str(part.error("it is missing")).endswith(part.remedy)
    assert part.error("it is missing").fields == {"key": "corpus.corpora.one"}


def test_the_folder_is_found_or_an_error(tmp_path):
    touch(tmp_path / "corpus/unpacked/train/1.mp4")

    def root(directory):
        return INFO.root(directory, ("", "unpacked"), lambda folder: (folder / "train").is_dir(), "train/*.mp4")

    assert root(tmp_path / "corpus") == root(tmp_path / "corpus/unpacked") == tmp_path / "corpus/unpacked"
    faults = ((None, "no corpus given"), (tmp_path / "no", "is not a folder"), (tmp_path, "has no train/"))
    for directory, message in faults:
        with pytest.raises(UserError, match=f"{message}.*ask the Romans"):
            root(directory)


@pytest.mark.parametrize("name", CORPORA)
def test_the_recipe_has_the_same_figures(name):
    text = (ROOT / f"egs/{name}/README.md").read_text(encoding="utf-8")
    rows = {part: f"{count:,}" for part, count in CORPORA[name].info.counts.items()}
    assert rows.items() <= dict(re.findall(r"^\| (.+?) \| (.+?) \|$", text, re.MULTILINE)).items()
    assert "--corpus_dir" in CORPORA[name].info.remedy and "--corpus_dir" in text
