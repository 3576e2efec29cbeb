"""What LRS2 and LRS3 share: clips with texts in a folder per recording, and word times."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.corpora.transcript import words
from v2skit.errors import UserError, suggestion
from v2skit.system.atomic import write_text

TIMES = "corpus/words.ctm"
"""Below the recipe's folder: start and duration of each word, in Kaldi's CTM format."""


class Word(NamedTuple):
    """A word with its start and end, seconds."""

    text: str
    start: float
    end: float


class Lrs:
    """A corpus of ``<part>/<recording>/<number>.mp4``, each with a ``.txt`` of the same name.

    The speaker of a clip is its recording. The texts of ``pretrain`` have word times.

    Args:
        corpus_dir: the corpus's folder, relative to the recipe's folder.
        split: one of the corpus's.
        word_times: stage 0 also writes word times to ``corpus/words.ctm``.

    Raises:
        UserError: unknown split.
    """

    title: str
    info: CorpusInfo
    folders: tuple[str, ...]
    """Subfolders of ``corpus_dir`` that may contain the corpus."""
    parts: dict[str, tuple[str, ...]]
    """Split -> the folders of its clips."""

    def __init__(self, work_dir: Path, corpus_dir: str, split: str, word_times: bool) -> None:
        if split not in self.parts:
            raise UserError(f"split: {self.title} has no split '{split}'{suggestion(split, self.parts)}")
        self.work_dir, self.split, self.word_times = Path(work_dir), split, word_times
        self.directory = self.work_dir / corpus_dir if corpus_dir else None

    def counts(self) -> dict[str, int]:
        """Clips found, by the parts that have published counts."""
        return {part: len(clips) for part, clips in self.found.items()}

    def remarks(self) -> list[str]:
        """Further remarks for :meth:`obtain`."""
        return []

    def obtain(self) -> str:
        """Find the corpus. Raises UserError, with where to obtain it, where a part of it is missing."""
        splits, counts = self.splits(), self.counts()
        untranscribed = sum(utterance.text is None for utterances in splits.values() for utterance in utterances)
        lines = [
            f"{self.title} at {self.root}: {', '.join(f'{count} {part}' for part, count in counts.items())}",
            self.info.differences(counts),
            *self.remarks(),
            f"untranscribed: {untranscribed}" if untranscribed else None,
            ", ".join(f"{name} {len(utterances)}" for name, utterances in splits.items()),
        ]
        if self.word_times:
            clips = [(s.id, s.video) for utterances in splits.values() for s in utterances if s.video is not None]
            times = ((name, word) for name, video in clips for word in read_text(video.with_suffix(".txt"))[1])
            lines.append(write_times(self.work_dir, times))
        return "; ".join(line for line in lines if line)

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``train``, ``valid`` and ``test`` below the split's name. Raises UserError where the corpus is missing."""
        raise NotImplementedError

    def grammar(self) -> None:
        """Open vocabulary."""

    @cached_property
    def root(self) -> Path:
        """The folder with the parts. Raises UserError where there is none of them."""
        parts = self.parts[self.split]
        layout = f"{' or '.join(f'{part}/<recording>/<number>.mp4' for part in parts)} ({self.title})"
        return self.info.root(
            self.directory, self.folders, lambda folder: any((folder / part).is_dir() for part in parts), layout
        )

    @cached_property
    def found(self) -> dict[str, dict[str, CorpusUtterance]]:
        """Part -> ``recording/number`` -> clip. Raises UserError where a part is missing or has none."""
        found = {}
        for part in self.parts[self.split]:
            clips = sorted(p for p in (self.root / part).glob("*/*.mp4") if not p.name.startswith("."))
            if not clips:
                raise self.info.error(
                    f"{self.root} has no {part}/<recording>/<number>.mp4, which split '{self.split}' needs"
                )
            found[part] = {f"{clip.parent.name}/{clip.stem}": _utterance(part, clip) for clip in clips}
        return found


def _utterance(part: str, clip: Path) -> CorpusUtterance:
    recording = re.sub(r"\s+", "_", clip.parent.name)
    text = read_text(clip.with_suffix(".txt"))[0]
    return CorpusUtterance(f"{recording}-{part}-{clip.stem}", recording, clip, clip, text)


def read_text(path: Path) -> tuple[str | None, list[Word]]:
    """The words of a clip, and their times where its text has them.

    ``Text:  HELLO THERE``, ``Conf:  3``, and in ``pretrain`` a table headed ``WORD START END ASDSCORE``.

    Raises:
        UserError: a line of the table is malformed.
    """
    if not path.is_file():
        return None, []
    text, times, in_table = None, [], False
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split()
        if line.startswith("Text:"):
            text = words(re.sub(r"\{[^}]*\}", " ", line[5:]))  # {LG} and the like: laughter, noise
        elif fields[:3] == ["WORD", "START", "END"]:
            in_table = True
        elif in_table and fields:
            try:
                times.append(Word(fields[0], float(fields[1]), float(fields[2])))
            except (IndexError, ValueError) as error:
                raise UserError(f"{path}: '{line}' is no word with its times; unpack the corpus again") from error
    return text, times


def read_list(path: Path) -> list[str]:
    """The clips that a list of the corpus names, one a line; anything after the name is ignored."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [line.split()[0] for line in lines if line.strip()]


def write_times(work_dir: Path, times: Iterable[tuple[str, Word]]) -> str:
    """Write word times, given as (utterance id, word), to ``TIMES``. Returns a line for the user."""
    rows = [f"{name} 1 {word.start:.2f} {word.end - word.start:.2f} {word.text}\n" for name, word in times]
    write_text(work_dir / TIMES, "".join(rows))
    return f"times of {len(rows)} words in {work_dir / TIMES}"


def listed(names: Iterable[str], clips: dict[str, CorpusUtterance]) -> list[CorpusUtterance]:
    """The named clips that exist, sorted by name."""
    return [clips[name] for name in sorted(set(names)) if name in clips]
