"""Metrics that see the whole face are given the videos that the corpus lists."""

from pathlib import Path
from types import SimpleNamespace

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.recipes.score import videos_of


def test_the_videos_are_those_of_the_test_set():
    listed = {
        "x/train": [CorpusUtterance("a-1", "a", None, Path("a/1.mpg"))],
        "x/test": [CorpusUtterance("a-2", "a", None, Path("a/2.mpg")), CorpusUtterance("a-3", "a", Path("a/3.wav"))],
    }
    corpora = [SimpleNamespace(splits=lambda: listed)]
    recipe = SimpleNamespace(build_corpora=lambda: corpora, config=SimpleNamespace(data=SimpleNamespace(test="x/test")))
    assert videos_of(recipe) == {"a-2": Path("a/2.mpg")}
