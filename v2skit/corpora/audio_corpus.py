"""What the audio-only corpora share: where they are, their parts, what is held out, and how many hours there are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import soundfile

from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.download import Archive, fetch
from v2skit.corpora.info import Passport
from v2skit.errors import UserError, suggestion

SAMPLE = 500
"""Utterances whose lengths are read for an estimate of the hours; its standard error is some 2 %."""


class AudioCorpus:
    """A corpus of plain audio, from its own layout.

    It gives ``audio``, ``audio_valid`` and ``audio_test``. What is held out is drawn, by a hash of the ids, from the
    corpus's own validation and test parts, or, where it has none or they are not there, from ``audio``.

    Args:
        corpus_dir: where the corpus is; relative to the recipe's folder.
        parts: those to train on; by default the corpus's training parts, as far as they are there.
        held_out: utterances in ``audio_valid`` and in ``audio_test``, at most; a tenth of the corpus where it is small.
        download: fetch what is missing, where the corpus may be had without asking, into ``corpus_dir`` (``corpus``).

    Raises:
        UserError: there is no such part, or ``held_out`` is not positive.
    """

    title: str
    passport: Passport
    folders: tuple[str, ...] = ("",)
    """Below ``corpus_dir``, where the parts may be."""
    training: tuple[str, ...] = ("all",)
    validation: tuple[str, ...] = ()
    testing: tuple[str, ...] = ()
    archives: dict[str, Archive] = {}
    """Part -> what to fetch for it."""
    family: str | None = None
    """Corpora of one family share their speakers' names, so that the same recordings show."""
    names_chapters = False
    """Whether the second field of an id is the family's number of the chapter."""

    def __init__(
        self,
        work_dir: Path,
        corpus_dir: str = "",
        parts: list[str] | None = None,
        held_out: int = 200,
        download: bool = False,
    ) -> None:
        known = (*self.training, *self.validation, *self.testing)
        for part in parts or ():
            if part not in known:
                raise UserError(f"parts: {self.title} has no part '{part}'{suggestion(part, known)}")
        if held_out < 1:
            raise UserError(f"held_out {held_out} must be at least 1")
        if download and not self.archives:
            raise UserError(f"download: {self.title} can't be fetched; {self.passport.where}")
        self.corpus_dir, self.held_out, self.download = corpus_dir or ("corpus" if download else ""), held_out, download
        self.directory = Path(work_dir) / self.corpus_dir if self.corpus_dir else None
        self.asked, self.parts = parts is not None, tuple(parts or self.training)

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The utterances of a part whose files are there."""
        raise NotImplementedError

    def has(self, root: Path, part: str) -> bool:
        """Whether a part is there."""
        return (root / part).is_dir()

    def obtain(self) -> str:
        """Look for the corpus, or fetch it where ``download`` says so. Raises UserError where it is not there."""
        if self.download:
            self._fetch()
        found = self._found
        counts = {part: len(utterances) for part, utterances in found.items()}
        everything = [utterance for utterances in found.values() for utterance in utterances]
        speakers = len({utterance.speaker for utterance in everything})
        published = f" of the published {self.passport.hours:g} h" if self.passport.hours else ""
        lines = [
            f"{self.title} at {self.directory}: {len(everything)} utterances of {speakers} speakers, "
            f"about {estimate_hours(everything):.1f} h{published}",
            self.passport.check(counts) if self.passport.counts else None,
            self._lacking(),
            ", ".join(f"{name} {len(utterances)}" for name, utterances in self.splits().items()),
        ]
        return "; ".join(line for line in lines if line)

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``audio``, ``audio_valid`` and ``audio_test``. Raises UserError where the corpus is not there."""
        trained = [utterance for part in self.parts for utterance in self._found.get(part, [])]
        held: dict[str, list[CorpusUtterance]] = {}
        for name, parts in (("audio_valid", self.validation), ("audio_test", self.testing)):
            taken = {utterance.id for utterances in held.values() for utterance in utterances}
            official = [utterance for part in parts for utterance in self._found.get(part, [])]
            few = max(1, len(trained) // 10)
            rest = official or [utterance for utterance in trained if utterance.id not in taken]
            held[name] = drawn(rest, self.held_out if official else min(self.held_out, few))
        taken = {utterance.id for utterances in held.values() for utterance in utterances}
        return {"audio": [utterance for utterance in trained if utterance.id not in taken], **held}

    def grammar(self) -> None:
        """Open vocabulary."""

    @cached_property
    def root(self) -> Path:
        """The folder with the parts. Raises UserError where there is none of them."""
        if self.directory is None:
            raise UserError(f"no corpus given; {self.passport.where}")
        if not self.directory.is_dir():
            raise UserError(f"{self.directory} is not a folder; {self.passport.where}")
        for folder in self.folders:
            if any(self.has(self.directory / folder, part) for part in self.parts):
                return self.directory / folder
        raise UserError(f"{self.directory} has no {self._layout()}; {self.passport.where}")

    def _layout(self) -> str:
        return f"{self.title} ({', '.join(self.parts)})"

    @cached_property
    def _found(self) -> dict[str, list[CorpusUtterance]]:
        """Part -> its utterances, of the parts that are there."""
        absent = [part for part in self.parts if not self.has(self.root, part)]
        if absent and self.asked:
            raise UserError(f"{self.root} lacks {', '.join(absent)}, which parts names; {self.passport.where}")
        there = dict.fromkeys((*self.parts, *self.validation, *self.testing))
        try:
            found = {part: list(self.utterances(self.root, part)) for part in there if self.has(self.root, part)}
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{getattr(error, 'filename', None) or self.root} can't be read: {error}") from error
        if not any(found.get(part) for part in self.parts):
            raise UserError(f"{self.root} has no sound files of {', '.join(self.parts)}; {self.passport.where}")
        return found

    def _lacking(self) -> str | None:
        """What of the corpus is not used, or not there."""
        absent = [part for part in (*self.training, *self.validation, *self.testing) if part not in self._found]
        return f"not there or not named: {', '.join(absent)}" if absent else None

    def _fetch(self) -> None:
        if self.directory is None:
            raise UserError("no folder to fetch the corpus into; give one with --corpus_dir")
        for part in dict.fromkeys((*self.parts, *self.validation, *self.testing)):
            archive = self.archives.get(part)
            there = any(self.has(self.directory / folder, part) for folder in self.folders)
            # An archive is deleted once it is unpacked: one that is there was interrupted.
            if archive and ((self.directory / archive.name).exists() or not there):
                fetch(archive, self.directory)


def drawn(utterances: Iterable[CorpusUtterance], count: int) -> list[CorpusUtterance]:
    """Up to ``count`` of them, by a hash of their ids, in their order."""
    utterances = list(utterances)
    places = sorted(
        (hashlib.sha256(utterance.id.encode()).digest(), number) for number, utterance in enumerate(utterances)
    )
    return [utterances[number] for number in sorted(number for _, number in places[:count])]


def estimate_hours(utterances: list[CorpusUtterance]) -> float:
    """Hours of sound, from the lengths of ``SAMPLE`` of them; exact where there are no more."""
    lengths = [seconds for seconds in map(_seconds, drawn(utterances, SAMPLE)) if seconds is not None]
    return sum(lengths) / max(1, len(lengths)) * len(utterances) / 3600


def _seconds(utterance: CorpusUtterance) -> float | None:
    """From the header; None where it can't be read, which preparation reports."""
    if utterance.end is not None:
        return utterance.end - utterance.start
    try:
        return soundfile.info(utterance.audio).duration - utterance.start
    except (soundfile.LibsndfileError, OSError):
        return None


def words(text: str) -> str | None:
    """Words in upper case, without punctuation; None where there are none."""
    return " ".join(re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text.upper())).replace("’", "'") or None


def table(path: Path, separator: str = "\t") -> Iterator[list[str]]:
    """The fields of each line of a table without quotes; nothing where there is no such file."""
    if path.is_file():
        with path.open(encoding="utf-8") as file:
            for line in file:
                yield line.rstrip("\r\n").split(separator)
