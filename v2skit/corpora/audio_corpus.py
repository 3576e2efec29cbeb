"""What audio-only corpora share: their folder, their parts, held-out utterances and an estimate of the hours."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import soundfile

from v2skit.corpora.archive import Archive, fetch
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.corpora.info import CorpusInfo
from v2skit.errors import UserError, suggestion

SAMPLE = 500
"""Utterances whose durations are read for an estimate of the hours; its standard error is about 2 %."""


class AudioCorpus:
    """A corpus of audio without video, in the layout it is distributed in.

    Its splits are ``audio``, ``audio_valid`` and ``audio_test``. Held-out utterances are drawn, by a hash of their ids,
    from the corpus's own validation and test parts or, where these are absent, from ``audio``.

    Args:
        corpus_dir: the corpus's folder, relative to the recipe's folder.
        parts: those to train on; by default all training parts that are in the folder.
        held_out: utterances in ``audio_valid`` and in ``audio_test``, at most; a tenth of the corpus where it is small.
        download: download missing parts, of freely available corpora, into ``corpus_dir`` (default: ``corpus``).

    Raises:
        UserError: unknown part, or ``held_out`` is not positive.
    """

    title: str
    info: CorpusInfo
    folders: tuple[str, ...] = ("",)
    """Subfolders of ``corpus_dir`` that may contain the parts."""
    training: tuple[str, ...] = ("all",)
    validation: tuple[str, ...] = ()
    testing: tuple[str, ...] = ()
    archives: dict[str, Archive] = {}
    """Part -> the archive that contains it."""
    family: str | None = None
    """Corpora of one family have the same speaker names, by which recordings in several of them are recognised."""
    names_chapters = False
    """Whether the second field of an id is the chapter number, which is the same in all corpora of the family."""

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
            raise self.info.error(f"download: {self.title} can't be downloaded")
        self.corpus_dir, self.held_out, self.download = corpus_dir or ("corpus" if download else ""), held_out, download
        self.directory = Path(work_dir) / self.corpus_dir if self.corpus_dir else None
        self.asked, self.parts = parts is not None, tuple(parts or self.training)

    def utterances(self, root: Path, part: str) -> Iterator[CorpusUtterance]:
        """The utterances of a part whose files exist."""
        raise NotImplementedError

    def has(self, root: Path, part: str) -> bool:
        """Whether a folder contains a part."""
        return (root / part).is_dir()

    def obtain(self) -> str:
        """Find the corpus, after downloading it where ``download`` is set. Raises UserError where it is missing."""
        if self.download:
            self._fetch()
        found = self._found
        counts = {part: len(utterances) for part, utterances in found.items()}
        everything = [utterance for utterances in found.values() for utterance in utterances]
        speakers = len({utterance.speaker for utterance in everything})
        published = f" of the published {self.info.hours:g} h" if self.info.hours else ""
        lines = [
            f"{self.title} at {self.directory}: {len(everything)} utterances of {speakers} speakers, "
            f"about {estimate_hours(everything):.1f} h{published}",
            self.info.differences(counts) if self.info.counts else None,
            self._unused(),
            ", ".join(f"{name} {len(utterances)}" for name, utterances in self.splits().items()),
        ]
        return "; ".join(line for line in lines if line)

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``audio``, ``audio_valid`` and ``audio_test``. Raises UserError where the corpus is missing."""
        trained = [utterance for part in self.parts for utterance in self._found.get(part, [])]
        held_out: dict[str, list[CorpusUtterance]] = {}
        for name, parts in (("audio_valid", self.validation), ("audio_test", self.testing)):
            used = {utterance.id for utterances in held_out.values() for utterance in utterances}
            official = [utterance for part in parts for utterance in self._found.get(part, [])]
            few = max(1, len(trained) // 10)
            rest = official or [utterance for utterance in trained if utterance.id not in used]
            held_out[name] = drawn(rest, self.held_out if official else min(self.held_out, few))
        used = {utterance.id for utterances in held_out.values() for utterance in utterances}
        return {"audio": [utterance for utterance in trained if utterance.id not in used], **held_out}

    def grammar(self) -> str | None:
        """None: open vocabulary."""
        return None

    @cached_property
    def root(self) -> Path:
        """The folder with the parts. Raises UserError where there is none of them."""
        return self.info.root(
            self.directory, self.folders, lambda root: any(self.has(root, part) for part in self.parts), self._layout()
        )

    def _layout(self) -> str:
        return f"{self.title} ({', '.join(self.parts)})"

    @cached_property
    def _found(self) -> dict[str, list[CorpusUtterance]]:
        """Part -> its utterances, of the parts that exist."""
        absent = [part for part in self.parts if not self.has(self.root, part)]
        if absent and self.asked:
            raise self.info.error(f"{self.root} lacks {', '.join(absent)}, which parts names")
        parts = dict.fromkeys((*self.parts, *self.validation, *self.testing))
        try:
            found = {part: list(self.utterances(self.root, part)) for part in parts if self.has(self.root, part)}
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{getattr(error, 'filename', None) or self.root} can't be read: {error}") from error
        if not any(found.get(part) for part in self.parts):
            raise self.info.error(f"{self.root} has no audio files of {', '.join(self.parts)}")
        return found

    def _unused(self) -> str | None:
        """The corpus's parts that are absent or not used."""
        absent = [part for part in (*self.training, *self.validation, *self.testing) if part not in self._found]
        return f"missing or not in parts: {', '.join(absent)}" if absent else None

    def _fetch(self) -> None:
        assert self.directory is not None, "a corpus to download has a default folder"
        for part in dict.fromkeys((*self.parts, *self.validation, *self.testing)):
            archive = self.archives.get(part)
            unpacked = any(self.has(self.directory / folder, part) for folder in self.folders)
            # An archive is deleted after unpacking: one that exists was not unpacked completely.
            if archive and ((self.directory / archive.name).exists() or not unpacked):
                fetch(archive, self.directory)


def drawn(utterances: Iterable[CorpusUtterance], count: int) -> list[CorpusUtterance]:
    """Up to ``count`` utterances, chosen by a hash of their ids, in their order."""
    utterances = list(utterances)
    places = sorted(
        (hashlib.sha256(utterance.id.encode()).digest(), number) for number, utterance in enumerate(utterances)
    )
    return [utterances[number] for number in sorted(number for _, number in places[:count])]


def estimate_hours(utterances: list[CorpusUtterance]) -> float:
    """Hours of audio, from the durations of ``SAMPLE`` utterances; exact where there are no more."""
    durations = [seconds for seconds in map(_seconds, drawn(utterances, SAMPLE)) if seconds is not None]
    return sum(durations) / max(1, len(durations)) * len(utterances) / 3600


def _seconds(utterance: CorpusUtterance) -> float | None:
    """Duration from the header; None where it can't be read, which preparation reports."""
    if utterance.end is not None:
        return utterance.end - utterance.start
    if utterance.audio is None:
        return None
    try:
        return soundfile.info(os.fsencode(utterance.audio)).duration - utterance.start
    except (soundfile.LibsndfileError, OSError):
        return None
