"""LRW (Chung and Zisserman 2016): 500 words of British television in clips of 1.16 s, in its official split."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from v2skit.corpora.audiovisual.lrs import Word, write_times
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.errors import UserError, suggestion
from v2skit.system.text_file import read_text

PARTS = {"train": "train", "valid": "val", "test": "test"}
"""Data directory -> the corpus's folder."""

CLIP_SECONDS = 29 / 25
"""Every clip has 29 frames, with the word in the middle."""


class Lrw:
    """LRW, from ``lipread_mp4/ABOUT/train/ABOUT_00001.mp4`` and the ``.txt`` of the same name.

    The corpus has no speaker labels: each clip counts as a speaker of its own.

    Args:
        corpus_dir: the corpus's folder, relative to the recipe's folder.
        words: those to use; by default all.
        word_times: stage 0 also writes word times to ``corpus/words.ctm``.
        closed_grammar: recognisers that use a grammar choose one of the words, so that the word error rate is the share
            of clips whose word is not recognised; otherwise their vocabulary is open, and what is cut off of the words
            before and after counts as errors.

    Raises:
        UserError: ``words`` is an empty list.
    """

    info = CorpusInfo(
        where="ask the BBC for LRW (bbc.co.uk/rd/projects/lip-reading-datasets), download it from "
        "robots.ox.ac.uk/~vgg/data/lip_reading/lrw1.html, unpack it and give its folder with {corpus_dir}",
        counts={"train": 488766, "val": 25000, "test": 25000},
    )

    def __init__(
        self,
        work_dir: Path,
        corpus_dir: str = "",
        words: list[str] | None = None,
        word_times: bool = False,
        closed_grammar: bool = True,
    ) -> None:
        if words is not None and not words:
            raise UserError("words: the list is empty; omit it to use all 500")
        self.work_dir = Path(work_dir)
        self.directory = self.work_dir / corpus_dir if corpus_dir else None
        self.words = None if words is None else sorted({str(word).upper() for word in words})
        self.word_times, self.closed_grammar = word_times, closed_grammar

    def obtain(self) -> str:
        """Find the corpus. Raises UserError, with where to obtain it, where it or a word is missing."""
        splits = self.splits()
        counts = {PARTS[name.rpartition("/")[2]]: len(utterances) for name, utterances in splits.items()}
        lines = [
            f"LRW at {self._root}: {len(self._words)} words",
            self.info.differences(counts) if self.words is None else None,
            ", ".join(f"{name} {len(utterances)}" for name, utterances in splits.items()),
        ]
        if self.word_times:
            lines.append(write_times(self.work_dir, _times(splits)))
        return "; ".join(line for line in lines if line)

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """The official ``train``, ``valid`` and ``test``, below ``words<n>/`` where only some words are used.

        Raises:
            UserError: the corpus is missing, or a part of it has no clips.
        """
        below = f"words{len(self.words)}/" if self.words else ""
        found = {}
        for part, folder in PARTS.items():
            files = (path for word in self._words for path in sorted((self._root / word / folder).glob("*.mp4")))
            found[f"{below}{part}"] = [_utterance(folder, path) for path in files if not path.name.startswith(".")]
            if not found[f"{below}{part}"]:
                raise self.info.error(f"{self._root} has no {self._words[0]}/{folder}/*.mp4")
        return found

    def grammar(self) -> str | None:
        """JSGF of one of the words; None where the grammar is not closed. Raises UserError as :meth:`splits` does."""
        if not self.closed_grammar:
            return None
        return f"#JSGF V1.0;\ngrammar lrw;\npublic <word> = {' | '.join(self._words).lower()};\n"

    @cached_property
    def _root(self) -> Path:
        layout = "lipread_mp4/<WORD>/train/<WORD>_00001.mp4 (LRW)"
        return self.info.root(self.directory, ("", "lipread_mp4", "LRW/lipread_mp4"), _is_lrw, layout)

    @cached_property
    def _words(self) -> list[str]:
        """The words to use. Raises UserError for an unknown one."""
        known = sorted(p.name for p in self._root.iterdir() if (p / "train").is_dir())
        for word in self.words or ():
            if word not in known:
                raise UserError(f"words: {self._root} has no '{word}'{suggestion(word, known)}")
        return self.words or known


def _times(splits: dict[str, list[CorpusUtterance]]) -> Iterator[tuple[str, Word]]:
    for utterance in (utterance for utterances in splits.values() for utterance in utterances):
        seconds = duration(utterance.video.with_suffix(".txt")) if utterance.video else None
        if seconds is not None and utterance.text is not None:
            start = max(0.0, (CLIP_SECONDS - seconds) / 2)
            yield utterance.id, Word(utterance.text, start, start + seconds)


def duration(path: Path) -> float | None:
    """Duration of the word, seconds, from ``Duration: 0.53 seconds`` in a clip's text; None where it is not given."""
    text = read_text(path, errors="replace") if path.is_file() else ""
    found = re.search(r"^Duration:\s*([\d.]+)", text, re.MULTILINE)
    return float(found[1]) if found else None


def _is_lrw(folder: Path) -> bool:
    return any(folder.glob("*/train/*.mp4"))


def _utterance(part: str, clip: Path) -> CorpusUtterance:
    word, _, number = clip.stem.rpartition("_")
    # Each part numbers its clips from 1.
    name = f"{word}-{part}-{number}"
    return CorpusUtterance(name, name, clip, clip, word)
