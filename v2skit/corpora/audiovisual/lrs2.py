"""LRS2-BBC (Afouras et al. 2018): 224 hours of British television, cut to faces, by its own lists."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from v2skit.corpora.audiovisual.lrs import Lrs, listed, read_list
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.errors import UserError


class Lrs2(Lrs):
    """LRS2, from ``mvlrs_v1/main/`` and ``mvlrs_v1/pretrain/<recording>/<number>.mp4`` and its lists.

    ``train.txt``, ``val.txt`` and ``test.txt`` (``6330311066473698535/00011`` a line) are in the folder of ``main`` and
    ``pretrain`` or in its parent.

    Args:
        split: ``main`` (training on ``main`` only) or ``all`` (on ``pretrain`` too).
    """

    title = "LRS2"
    info = CorpusInfo(
        where="ask the BBC for LRS2 (bbc.co.uk/rd/projects/lip-reading-datasets), download it and its lists from "
        "robots.ox.ac.uk/~vgg/data/lip_reading/lrs2.html, unpack it and give its folder with {corpus_dir}",
        counts={"pretrain": 96318, "train": 45839, "val": 1082, "test": 1243},
    )
    folders = ("", "mvlrs_v1", "lrs2_v1/mvlrs_v1", "lrs2")
    parts = {"main": ("main",), "all": ("main", "pretrain")}

    def __init__(self, work_dir: Path, corpus_dir: str = "", split: str = "main", word_times: bool = False) -> None:
        super().__init__(work_dir, corpus_dir, split, word_times)

    def counts(self) -> dict[str, int]:
        """Clips found that are in the lists, by list."""
        main = {name: len(utterances) for name, utterances in self._main.items()}
        return {**main, **{part: len(clips) for part, clips in self.found.items() if part == "pretrain"}}

    def remarks(self) -> list[str]:
        """How many clips of the lists are missing."""
        missing = sum(len(set(names)) for names in self._lists.values()) - sum(map(len, self._main.values()))
        return [f"missing of the lists: {missing}"] if missing else []

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``train``, ``valid`` and ``test`` below the split's name. Raises UserError where the corpus is missing."""
        pretrain = list(self.found.get("pretrain", {}).values())
        return {
            f"{self.split}/train": [*self._main["train"], *pretrain],
            f"{self.split}/valid": self._main["val"],
            f"{self.split}/test": self._main["test"],
        }

    @cached_property
    def _main(self) -> dict[str, list[CorpusUtterance]]:
        """List -> its clips that exist. Raises UserError where a list has none."""
        found = {name: listed(names, self.found["main"]) for name, names in self._lists.items()}
        empty = [name for name, utterances in found.items() if not utterances]
        if empty:
            raise UserError(
                f"{self.root / 'main'} has no clip of {empty[0]}.txt; unpack all parts of the corpus, with its own "
                "lists"
            )
        return found

    @cached_property
    def _lists(self) -> dict[str, list[str]]:
        """List -> the clips that it names. Raises UserError where one is missing."""
        places = [place for place in (self.root, self.root.parent, self.directory) if place is not None]
        found = {}
        for name in ("train", "val", "test"):
            path = next((p / f"{name}.txt" for p in places if (p / f"{name}.txt").is_file()), None)
            if path is None:
                raise UserError(
                    f"{self.root} has no {name}.txt, the corpus's own list; put train.txt, val.txt and test.txt from "
                    "robots.ox.ac.uk/~vgg/data/lip_reading/lrs2.html there"
                )
            found[name] = read_list(path)
        return found
