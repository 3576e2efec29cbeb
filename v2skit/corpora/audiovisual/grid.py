"""GRID (Cooke et al. 2006): 33 talkers with video, 1000 six-word sentences each, 25 fps."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.grid_grammar import jsgf, sentence_from_code
from v2skit.corpora.info import CorpusInfo
from v2skit.errors import UserError

TALKERS = tuple(n for n in range(1, 35) if n != 21)
"""Talker 21 has no video."""

SEEN = {"s1": (1,), "seen4": (1, 2, 4, 29), "seen33": TALKERS}
"""Splits in which every talker is in training: 90/5/5 by a hash of talker and name."""

AVAILABLE = "available"
"""The split, as those of SEEN, of all talkers whose clips are there, however few."""

TEST = "test"
"""The same, and all of their clips are test clips."""

UNSEEN33 = {
    "train": (1, 3, 5, 6, 7, 8, 10, 12, 14, 16, 17, 22, 24, 26, 28, 32),
    "valid": (9, 20, 23, 27, 29, 30, 34),
    "test": (2, 4, 11, 13, 15, 18, 19, 25, 31, 33),
}
"""The talkers of the unseen-speaker protocol, as in SVTS and its predecessors."""

SENTENCES = 1000
SUFFIXES = (".mpg", ".mp4", ".avi", ".mov")
PATTERNS = ("s{n}/*", "s{n}/s{n}/*", "s{n}/video/*", "s{n}/video/mpg_6000/*", "s{n}/*/s{n}/*", "video/s{n}/*")
"""The layouts of a talker's clips in the published archives."""


class Grid:
    """GRID, from ``s1/*.mpg``; the file names encode the text.

    Args:
        corpus_dir: the corpus's folder, relative to the recipe's folder.
        split: ``s1`` (that talker only), ``seen4``, ``seen33``, ``available`` (all talkers whose clips are there),
            ``test`` (the same, all clips for testing) or ``unseen33``.
        talkers: of splits ``available`` and ``test``, those that are used where their clips are there; None: all.

    Raises:
        UserError: unknown split, or talkers that GRID does not have or of another split.
    """

    info = CorpusInfo(
        where="ask for GRID at Zenodo, record 3625687 (CC BY 4.0), unpack it and give its folder with {corpus_dir}",
    )

    def __init__(
        self,
        work_dir: Path,
        corpus_dir: str = "",
        split: str = "s1",
        talkers: list[int] | None = None,
    ) -> None:
        if split not in (*SEEN, AVAILABLE, TEST, "unseen33"):
            raise UserError(f"split '{split}' is none of {', '.join(SEEN)}, {AVAILABLE}, {TEST}, unseen33")
        if talkers is not None and split not in (AVAILABLE, TEST):
            raise UserError(f"split '{split}' has talkers of its own; leave talkers out, or set split to {AVAILABLE}")
        if talkers is not None and not (talkers and set(talkers) <= set(TALKERS)):
            raise UserError(f"talkers {talkers}: give a list of talkers with video: 1 to 34, without 21")
        self.directory = Path(work_dir) / corpus_dir if corpus_dir else None
        self.split = split
        self.talkers = SEEN.get(split, tuple(sorted(set(talkers or TALKERS))))

    def obtain(self) -> str:
        """Find the corpus. Raises UserError, with where to obtain it, where talkers are missing."""
        clips = self._clips()
        counts = {n: len(found) for n, found in clips.items()}
        short = ", ".join(f"s{n} {count}" for n, count in counts.items() if count < SENTENCES)
        note = f"; talkers with fewer than {SENTENCES}: {short}" if short else ""
        untranscribed = [path for found in clips.values() for path in found if _text(path.stem) is None]
        if untranscribed:
            note += (
                f"; untranscribed, since the name is no sentence code: {len(untranscribed)}, e.g. {untranscribed[0]}"
            )
        return f"GRID {self.split} at {self.directory}: {sum(counts.values())} clips of {len(counts)} talkers{note}"

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``<split>/train``, ``<split>/valid`` and ``<split>/test``. Raises UserError where talkers are missing."""
        found: dict[str, list[CorpusUtterance]] = {f"{self.split}/{part}": [] for part in ("train", "valid", "test")}
        for talker, clips in self._clips().items():
            for path in clips:
                part = self._part(talker, path.stem)
                name = re.sub(r"\s+", "_", f"s{talker}-{path.stem}")
                utterance = CorpusUtterance(name, f"s{talker}", path, path, _text(path.stem))
                found[f"{self.split}/{part}"].append(utterance)
        return found

    def grammar(self) -> str:
        """The JSGF grammar of the sentences."""
        return jsgf()

    def _part(self, talker: int, name: str) -> str:
        if self.split == TEST:
            return "test"
        if self.split == "unseen33":
            return next(part for part, talkers in UNSEEN33.items() if talker in talkers)
        place = int.from_bytes(hashlib.sha256(f"s{talker}/{name}".encode()).digest()[:4], "big") % 20
        return {0: "valid", 1: "test"}.get(place, "train")

    def _clips(self) -> dict[int, list[Path]]:
        """Talker -> clips, sorted by name."""
        directory = self.info.check_folder(self.directory)
        try:
            clips = {n: _of_talker(directory, n) for n in self.talkers}
        except OSError as error:
            raise UserError(f"{error.filename} can't be read: {error.strerror}") from error
        missing = [f"s{n}" for n, found in clips.items() if not found]
        if self.split in (AVAILABLE, TEST) and len(missing) < len(self.talkers):
            clips, missing = {n: found for n, found in clips.items() if found}, []
        if missing:
            raise self.info.error(
                f"{self.directory} has no clips ({missing[0]}/*.mpg) of {', '.join(missing)}, which split "
                f"'{self.split}' needs"
            )
        for number, found in clips.items():
            sentences = [path for path in found if _text(path.stem)]
            if len(sentences) > SENTENCES:
                raise UserError(
                    f"{found[0].parent} has {len(sentences)} clips of s{number}, GRID has {SENTENCES} a talker; "
                    "leave one copy of each there"
                )
        return clips


def _of_talker(directory: Path, talker: int) -> list[Path]:
    for pattern in PATTERNS:
        found = directory.glob(pattern.format(n=talker))
        clips = [p for p in found if p.suffix.lower() in SUFFIXES and p.is_file() and not p.name.startswith(".")]
        if clips:
            return sorted(clips)
    return []


def _text(name: str) -> str | None:
    """The words that a file name encodes; None for a name that is no sentence code."""
    try:
        return sentence_from_code(name)
    except UserError:
        return None
