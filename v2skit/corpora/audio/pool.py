"""Several corpora as one, to pre-train on: what they share, and who is to be tested, is left out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from v2skit.corpora.audio_corpus import AudioCorpus, estimate_hours
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.errors import UserError, suggestion
from v2skit.registry.component import Component

SPLITS = ("audio_test", "audio_valid", "audio")
"""Held-out ones come first: what they have is not trained on."""

MISSING_SHARE = 0.1
"""Of a corpus's published hours; where more is missing, the answer says so."""


class Pool:
    """Several audio corpora as one, each speaker and id behind the corpus's name (``libritts-19-198-...``).

    LibriSpeech, LibriTTS, Hi-Fi TTS and MLS come from LibriVox and name its readers alike. What two of them share is
    taken from the one that is named first: the chapter, where both name it (LibriSpeech, LibriTTS), else all of the
    reader. A reader who is held out in one is not trained on in another. Nothing is compared by its sound.

    Args:
        corpora: name -> corpus; a folder that one names (``corpus_dir``) is below this one's, unless it is absolute.
        corpus_dir: where they are; relative to the recipe's folder.
        exclude: speakers (``vctk-p225``) or beginnings of ids up to a ``-`` that nobody may train on, such as test
            talkers of audio-visual corpora; or a file with one a line.

    Raises:
        UserError: there are no corpora.
    """

    def __init__(
        self,
        work_dir: Path,
        corpora: dict[str, Annotated[Component, "corpus"]],
        corpus_dir: str = "",
        exclude: list[str] | None = None,
    ) -> None:
        if not corpora:
            raise UserError("corpora names no corpus; give at least one")
        self.corpora: dict[str, Any] = corpora
        for corpus in corpora.values():
            if isinstance(corpus, AudioCorpus) and corpus.directory is not None:
                corpus.directory = Path(work_dir) / corpus_dir / corpus.corpus_dir
        self.exclude = {name for entry in exclude or () for name in _listed(Path(work_dir), entry)}

    def obtain(self) -> str:
        """Look for all of them. Raises UserError where one is missing, or ``exclude`` names what none has."""
        for name, corpus in self.corpora.items():
            with _named(name):
                corpus.obtain()
        kept, dropped = self._sorted
        lines, total = [], 0.0
        for name, corpus in self.corpora.items():
            utterances = [utterance for split in kept.values() for utterance in split.get(name, [])]
            hours = estimate_hours(utterances)
            total += hours
            reasons = "".join(f", without {count} ({why})" for why, count in dropped[name].items())
            lines.append(f"  {name}: about {hours:.1f} h, {len(utterances)} utterances{reasons}{_short(corpus, hours)}")
        counts = ", ".join(f"{split} {sum(map(len, found.values()))}" for split, found in reversed(kept.items()))
        return "\n".join([f"pool of {len(self.corpora)} corpora: about {total:.1f} h; {counts}", *lines])

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``audio``, ``audio_valid`` and ``audio_test``. Raises UserError as :meth:`obtain`."""
        kept, _ = self._sorted
        return {split: [s for utterances in kept[split].values() for s in utterances] for split in reversed(SPLITS)}

    def grammar(self) -> None:
        """Open vocabulary."""

    @cached_property
    def _sorted(self) -> tuple[dict[str, dict[str, list[CorpusUtterance]]], dict[str, dict[str, int]]]:
        """Split -> corpus -> its utterances that are kept; and corpus -> why others are not -> how many."""
        splits = {}
        for name, corpus in self.corpora.items():
            with _named(name):
                splits[name] = corpus.splits()
        for name, found in splits.items():
            if not found.keys() <= set(SPLITS):
                taken = ", ".join(reversed(SPLITS))
                raise UserError(f"corpora.{name} has splits {', '.join(found)}; a pool takes {taken}")
        kept: dict[str, dict[str, list[CorpusUtterance]]] = {split: {} for split in SPLITS}
        dropped: dict[str, dict[str, int]] = {name: defaultdict(int) for name in self.corpora}
        heard, unused = _Heard(), set(self.exclude)
        for split in SPLITS:
            for name, corpus in self.corpora.items():
                kept[split][name] = []
                for utterance in splits[name].get(split, []):
                    mine = _prefixed(name, utterance)
                    excluded = self.exclude & _beginnings(mine.id)
                    unused -= excluded
                    why = "excluded" if excluded else heard.elsewhere(name, corpus, utterance, split)
                    if why:
                        dropped[name][why] += 1
                    else:
                        kept[split][name].append(mine)
                        heard.add(name, corpus, utterance, split)
        if unused:
            speakers = {s.speaker for found in kept.values() for utterances in found.values() for s in utterances}
            first = min(unused)
            raise UserError(f"exclude: no corpus has '{first}'{suggestion(first, sorted(speakers)[:1000])}")
        return kept, dropped


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors of a member tell its name, and the options that it has in the pool instead of those of its own recipe."""
    try:
        yield
    except UserError as error:
        key = f"--set corpus.corpora.{name}"
        told = str(error).replace("--set corpus.", f"{key}.").replace("--corpus_dir", f"{key}.corpus_dir=DIR")
        raise UserError(f"corpora.{name}: {told}; {key}=null does without it") from error


class _Heard:
    """Which corpus has what of which reader of a family."""

    def __init__(self) -> None:
        self.chapters: dict[tuple[str, str], dict[str, set[str | None]]] = defaultdict(lambda: defaultdict(set))
        self.held_out: dict[tuple[str, str], set[str]] = defaultdict(set)

    def add(self, name: str, corpus: Any, utterance: CorpusUtterance, split: str) -> None:
        family = getattr(corpus, "family", None)
        if family:
            self.chapters[family, utterance.speaker][name].add(_chapter(corpus, utterance))
            if split != "audio":
                self.held_out[family, utterance.speaker].add(name)

    def elsewhere(self, name: str, corpus: Any, utterance: CorpusUtterance, split: str) -> str | None:
        """Why a utterance is not to be used, if another corpus is the reason."""
        family = getattr(corpus, "family", None)
        if not family:
            return None
        if split == "audio" and self.held_out.get((family, utterance.speaker), set()) - {name}:
            return "their readers held out in another corpus"
        chapter = _chapter(corpus, utterance)
        for other, chapters in self.chapters.get((family, utterance.speaker), {}).items():
            if other != name and (chapter is None or None in chapters or chapter in chapters):
                return f"also in {other}"
        return None


def _chapter(corpus: AudioCorpus, utterance: CorpusUtterance) -> str | None:
    return utterance.id.split("-")[1] if corpus.names_chapters else None


def _beginnings(name: str) -> set[str]:
    """``a-b-c`` -> ``a``, ``a-b``, ``a-b-c``."""
    fields = name.split("-")
    return {"-".join(fields[: count + 1]) for count in range(len(fields))}


def _prefixed(name: str, utterance: CorpusUtterance) -> CorpusUtterance:
    values = {**vars(utterance), "id": f"{name}-{utterance.id}", "speaker": f"{name}-{utterance.speaker}"}
    return CorpusUtterance(**values)


def _listed(work_dir: Path, entry: str) -> Iterator[str]:
    """What an entry of ``exclude`` stands for: itself, or the lines of a file."""
    path = work_dir / entry
    if path.is_file():
        yield from (line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    elif "/" in entry:
        raise UserError(f"exclude: {path} is not a file; give one with a speaker or id a line")
    else:
        yield entry


def _short(corpus: Any, hours: float) -> str:
    """Says where a good deal of the published hours is missing."""
    published = corpus.passport.hours if isinstance(corpus, AudioCorpus) else 0.0
    return f"; published are {published:g} h" if hours < (1 - MISSING_SHARE) * published else ""
