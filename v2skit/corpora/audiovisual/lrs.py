"""What LRS2 and LRS3 share: clips with a text beside each, in folders of one recording, and the words' times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from v2skit.corpora.audio_corpus import words
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import Passport
from v2skit.errors import UserError, suggestion
from v2skit.system.atomic import write_text

TIMES = "corpus/words.ctm"
"""Below the recipe's folder: when each word is said, in Kaldi's format."""


class Word(NamedTuple):
    """A word and when it is said, seconds."""

    text: str
    start: float
    end: float


class Lrs:
    """A corpus of ``<part>/<recording>/<number>.mp4``, each with a ``.txt`` beside it.

    The speaker of a clip is its recording. What is in ``pretrain`` has the times of its words in the text.

    Args:
        corpus_dir: where the corpus is; relative to the recipe's folder.
        split: one of the corpus's.
        word_times: stage 0 also writes them, to ``corpus/words.ctm``.

    Raises:
        UserError: there is no such split.
    """

    title: str
    passport: Passport
    folders: tuple[str, ...]
    """Below ``corpus_dir``, where the corpus may be."""
    parts: dict[str, tuple[str, ...]]
    """Split -> the folders that it takes clips from."""

    def __init__(self, work_dir: Path, corpus_dir: str, split: str, word_times: bool) -> None:
        if split not in self.parts:
            raise UserError(f"split: {self.title} has no split '{split}'{suggestion(split, self.parts)}")
        self.work_dir, self.split, self.word_times = Path(work_dir), split, word_times
        self.directory = self.work_dir / corpus_dir if corpus_dir else None

    def counts(self) -> dict[str, int]:
        """Clips that are there, by the parts that the passport counts."""
        return {part: len(clips) for part, clips in self.found.items()}

    def remarks(self) -> list[str]:
        """What else :meth:`obtain` says."""
        return []

    def obtain(self) -> str:
        """Look for the corpus. Raises UserError, with where to ask for it, where a part of it is missing."""
        splits, counts = self.splits(), self.counts()
        dumb = sum(utterance.text is None for utterances in splits.values() for utterance in utterances)
        lines = [
            f"{self.title} at {self.root}: {', '.join(f'{count} {part}' for part, count in counts.items())}",
            self.passport.check(counts),
            *self.remarks(),
            f"without a text: {dumb}" if dumb else None,
            ", ".join(f"{name} {len(utterances)}" for name, utterances in splits.items()),
        ]
        if self.word_times:
            clips = [(s.id, s.video) for utterances in splits.values() for s in utterances if s.video is not None]
            times = ((name, word) for name, video in clips for word in read_text(video.with_suffix(".txt"))[1])
            lines.append(write_times(self.work_dir, times))
        return "; ".join(line for line in lines if line)

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``train``, ``valid`` and ``test`` below the split's name. Raises UserError where the corpus is not there."""
        raise NotImplementedError

    def grammar(self) -> None:
        """Open vocabulary."""

    @cached_property
    def root(self) -> Path:
        """The folder with the parts. Raises UserError where there is none of them."""
        parts = self.parts[self.split]
        layout = f"{' or '.join(f'{part}/<recording>/<number>.mp4' for part in parts)} ({self.title})"
        return self.passport.root(
            self.directory, self.folders, lambda folder: any((folder / part).is_dir() for part in parts), layout
        )

    @cached_property
    def found(self) -> dict[str, dict[str, CorpusUtterance]]:
        """Part -> ``recording/number`` -> clip. Raises UserError where a part is missing or has none."""
        found = {}
        for part in self.parts[self.split]:
            clips = sorted(p for p in (self.root / part).glob("*/*.mp4") if not p.name.startswith("."))
            if not clips:
                raise UserError(
                    f"{self.root} has no {part}/<recording>/<number>.mp4, which split '{self.split}' needs; "
                    f"{self.passport.where}"
                )
            found[part] = {f"{clip.parent.name}/{clip.stem}": _utterance(part, clip) for clip in clips}
        return found


def _utterance(part: str, clip: Path) -> CorpusUtterance:
    recording = re.sub(r"\s+", "_", clip.parent.name)
    text = read_text(clip.with_suffix(".txt"))[0]
    return CorpusUtterance(f"{recording}-{part}-{clip.stem}", recording, clip, clip, text)


def read_text(path: Path) -> tuple[str | None, list[Word]]:
    """The words of a clip, and when they are said, where its text tells.

    ``Text:  HELLO THERE``, ``Conf:  3``, and in ``pretrain`` a table headed ``WORD START END ASDSCORE``.

    Raises:
        UserError: the table has a line that is none.
    """
    if not path.is_file():
        return None, []
    said, times, in_table = None, [], False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split()
        if line.startswith("Text:"):
            said = words(re.sub(r"\{[^}]*\}", " ", line[5:]))  # {LG} and the like: laughter, noise
        elif fields[:3] == ["WORD", "START", "END"]:
            in_table = True
        elif in_table and fields:
            try:
                times.append(Word(fields[0], float(fields[1]), float(fields[2])))
            except (IndexError, ValueError) as error:
                raise UserError(f"{path}: '{line}' is no word with its times; unpack the corpus again") from error
    return said, times


def read_list(path: Path) -> list[str]:
    """The clips that a list of the corpus names, one a line; what comes after a name is left out."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def write_times(work_dir: Path, times: Iterable[tuple[str, Word]]) -> str:
    """Write (utterance id, word) to ``TIMES`` below the recipe's folder. Returns a line for the user."""
    rows = [f"{name} 1 {word.start:.2f} {word.end - word.start:.2f} {word.text}\n" for name, word in times]
    write_text(work_dir / TIMES, "".join(rows))
    return f"times of {len(rows)} words in {work_dir / TIMES}"


def listed(names: Iterable[str], clips: dict[str, CorpusUtterance]) -> list[CorpusUtterance]:
    """Those of the named clips that are there, in the order of their names."""
    return [clips[name] for name in sorted(set(names)) if name in clips]
