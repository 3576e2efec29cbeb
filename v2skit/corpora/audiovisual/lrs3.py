"""LRS3-TED (Afouras, Chung, Zisserman 2018): 439 hours of TED and TEDx talks, cut to faces."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from v2skit.corpora.audiovisual.lrs import Lrs, listed, read_list
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.errors import UserError

VALID_SHARE = 20
"""One talk in 20 is for validation, as in the lists of SVTS."""

SVTS = {"train": 131168, "valid": 6837, "test": 1308}
"""Clips in the lists of SVTS."""


class Lrs3(Lrs):
    """LRS3, from ``pretrain/``, ``trainval/`` and ``test/<talk>/<number>.mp4``.

    No talk is in two parts of a split: talks of ``test`` are excluded from the others, and validation talks are chosen
    by a hash.

    Args:
        split: ``unseen`` (training on ``pretrain`` and ``trainval``) or ``trainval`` (on ``trainval`` only).
        lists: a folder of lists of clips, ``test/UmvOgW6iV2s/00007`` a line, in files whose names end in ``train.txt``,
            ``val.txt`` and ``test.txt``, such as those of SVTS; they replace the split, and the data directories are
            in ``lists/``.
    """

    title = "LRS3"
    info = CorpusInfo(
        where="LRS3 is no longer distributed (mmai.io/datasets/lip_reading); give the folder of a copy with "
        "{corpus_dir}",
        counts={"pretrain": 118516, "trainval": 31982, "test": 1321},
    )
    folders = ("", "lrs3", "LRS3", "lrs3_v0.4")
    parts = {"unseen": ("pretrain", "trainval", "test"), "trainval": ("trainval", "test")}

    def __init__(
        self,
        work_dir: Path,
        corpus_dir: str = "",
        split: str = "unseen",
        lists: str = "",
        word_times: bool = False,
    ) -> None:
        super().__init__(work_dir, corpus_dir, split, word_times)
        self.lists = self.work_dir / lists if lists else None

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``train``, ``valid`` and ``test`` below the split's name. Raises UserError where the corpus is missing."""
        if self.lists:
            clips = {f"{part}/{name}": clip for part, found in self.found.items() for name, clip in found.items()}
            splits = {f"lists/{part}": listed(names, clips) for part, names in self._lists.items()}
            empty = [name for name, utterances in splits.items() if not utterances]
            if empty:
                raise UserError(f"{self.root} has no clip of the list of {empty[0]} in {self.lists}; give other lists")
            return splits
        tested = {clip.speaker for clip in self.found["test"].values()}
        rest = [c for part in self.parts[self.split][:-1] for c in self.found[part].values() if c.speaker not in tested]
        valid = held_out({clip.speaker for clip in rest})
        return {
            f"{self.split}/train": [clip for clip in rest if clip.speaker not in valid],
            f"{self.split}/valid": [clip for clip in rest if clip.speaker in valid],
            f"{self.split}/test": list(self.found["test"].values()),
        }

    def remarks(self) -> list[str]:
        """Whether the lists are those of SVTS, and how many of their clips are missing."""
        if not self.lists:
            return []
        named = {part: len(set(names)) for part, names in self._lists.items()}
        missing = sum(named.values()) - sum(map(len, self.splits().values()))
        origin = "SVTS's lists" if named == SVTS else f"lists of {', '.join(f'{n} {p}' for p, n in named.items())}"
        return [f"{origin}, of which missing: {missing}" if missing else origin]

    @cached_property
    def _lists(self) -> dict[str, list[str]]:
        """Part -> the clips that its list names. Raises UserError where lists are missing or share a clip."""
        assert self.lists is not None, "used only with lists"
        found = {}
        for part, end in (("train", "train.txt"), ("valid", "val.txt"), ("test", "test.txt")):
            paths = sorted(self.lists.glob(f"*{end}"))
            if len(paths) != 1:
                raise UserError(f"lists: {self.lists} must have one file *{end}, it has {len(paths)}")
            found[part] = read_list(paths[0])
        names = [name for part in found.values() for name in set(part)]
        if len(names) != len(set(names)):
            raise UserError(f"lists: a clip is in two of the lists in {self.lists}; give disjoint ones")
        return found


def held_out(talks: set[str]) -> set[str]:
    """The talks for validation, by a hash of their names; at least one.

    Raises:
        UserError: there are fewer than two.
    """
    if len(talks) < 2:
        raise UserError(f"{len(talks)} talks can't fill training and validation; give the complete corpus")
    places = {talk: int.from_bytes(hashlib.sha256(talk.encode()).digest()[:8], "big") for talk in talks}
    first = min(places, key=lambda talk: (places[talk] % VALID_SHARE, places[talk]))
    return {first} | {talk for talk, place in places.items() if place % VALID_SHARE == 0}
