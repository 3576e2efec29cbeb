"""Several audio corpora as one for pre-training, without their overlap and without speakers of test sets."""

from __future__ import annotations

import dataclasses
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
"""The held-out ones first, since their utterances are excluded from training."""

MISSING_SHARE = 0.1
"""Of a corpus's published hours; where more is missing, stage 0 reports it."""


class Pool:
    """Several audio corpora as one, the corpus's name prefixed to each speaker and id (``libritts-19-198-...``).

    LibriSpeech, LibriTTS, Hi-Fi TTS and MLS are from LibriVox and have the same speaker names. Utterances in several of
    them are taken from the first corpus in the list only: recognised by chapter where both corpora have chapter numbers
    (LibriSpeech, LibriTTS), otherwise by speaker. Speakers who are held out in one corpus are excluded from training in
    the others. Audio is not compared.

    Args:
        corpora: name -> corpus; the ``corpus_dir`` of each is relative to this one's.
        corpus_dir: the folder with all corpora, relative to the recipe's folder.
        exclude: speakers (``vctk-p225``) or beginnings of ids up to a ``-`` to exclude from training, such as test
            speakers of audio-visual corpora; or a file with one a line.

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
            raise UserError("corpora is empty; give at least one corpus")
        self.corpora: dict[str, Any] = corpora
        for name, corpus in self.corpora.items():
            if isinstance(corpus, AudioCorpus):
                corpus.info = dataclasses.replace(corpus.info, key=f"corpus.corpora.{name}")
                if corpus.directory is not None:
                    corpus.directory = Path(work_dir) / corpus_dir / corpus.corpus_dir
        self.exclude = {name for entry in exclude or () for name in _listed(Path(work_dir), entry)}

    def obtain(self) -> str:
        """Find all corpora. Raises UserError where one is missing, or an entry of ``exclude`` is in none of them."""
        for name, corpus in self.corpora.items():
            with _named(name, corpus):
                corpus.obtain()
        kept, dropped = self._selected
        lines, total = [], 0.0
        for name, corpus in self.corpora.items():
            utterances = [utterance for split in kept.values() for utterance in split.get(name, [])]
            hours = estimate_hours(utterances)
            total += hours
            reasons = "".join(f", without {count} ({why})" for why, count in dropped[name].items())
            lines.append(
                f"  {name}: about {hours:.1f} h, {len(utterances)} utterances{reasons}{_published(corpus, hours)}"
            )
        counts = ", ".join(f"{split} {sum(map(len, found.values()))}" for split, found in reversed(kept.items()))
        return "\n".join([f"pool of {len(self.corpora)} corpora: about {total:.1f} h; {counts}", *lines])

    def splits(self) -> dict[str, list[CorpusUtterance]]:
        """``audio``, ``audio_valid`` and ``audio_test``. Raises UserError as :meth:`obtain`."""
        kept, _ = self._selected
        return {split: [s for utterances in kept[split].values() for s in utterances] for split in reversed(SPLITS)}

    def grammar(self) -> None:
        """Open vocabulary."""

    @cached_property
    def _selected(self) -> tuple[dict[str, dict[str, list[CorpusUtterance]]], dict[str, dict[str, int]]]:
        """Split -> corpus -> utterances that are kept; and corpus -> reason -> number of utterances that are not."""
        splits = {}
        for name, corpus in self.corpora.items():
            with _named(name, corpus):
                splits[name] = corpus.splits()
        for name, found in splits.items():
            if not found.keys() <= set(SPLITS):
                expected = ", ".join(reversed(SPLITS))
                raise UserError(f"corpora.{name} has splits {', '.join(found)}; a pool needs {expected}")
        kept: dict[str, dict[str, list[CorpusUtterance]]] = {split: {} for split in SPLITS}
        dropped: dict[str, dict[str, int]] = {name: defaultdict(int) for name in self.corpora}
        overlap, unused = _Overlap(), set(self.exclude)
        for split in SPLITS:
            for name, corpus in self.corpora.items():
                kept[split][name] = []
                for utterance in splits[name].get(split, []):
                    prefixed = _prefixed(name, utterance)
                    excluded = self.exclude & _beginnings(prefixed.id)
                    unused -= excluded
                    reason = "excluded" if excluded else overlap.find(name, corpus, utterance, split)
                    if reason:
                        dropped[name][reason] += 1
                    else:
                        kept[split][name].append(prefixed)
                        overlap.add(name, corpus, utterance, split)
        if unused:
            speakers = {s.speaker for found in kept.values() for utterances in found.values() for s in utterances}
            first = min(unused)
            raise UserError(f"exclude: no corpus has '{first}'{suggestion(first, sorted(speakers)[:1000])}")
        return kept, dropped


@contextmanager
def _named(name: str, corpus: Any) -> Iterator[None]:
    """Errors of a corpus name it and its options in the pool."""
    try:
        yield
    except UserError as error:
        key = f"--set corpus.corpora.{name}"
        # Messages of an AudioCorpus have its options in the pool, those of other corpora have the options of a recipe.
        options = "" if isinstance(corpus, AudioCorpus) else f"{key}.OPTION=VALUE sets its options, "
        message = f"corpora.{name}: {error}; {options}{key}=null leaves it out"
        raise UserError(message, **error.fields) from error


class _Overlap:
    """Which corpora of a family have utterances of which speakers and chapters."""

    def __init__(self) -> None:
        self.chapters: dict[tuple[str, str], dict[str, set[str | None]]] = defaultdict(lambda: defaultdict(set))
        self.held_out: dict[tuple[str, str], set[str]] = defaultdict(set)

    def add(self, name: str, corpus: Any, utterance: CorpusUtterance, split: str) -> None:
        family = getattr(corpus, "family", None)
        if family:
            self.chapters[family, utterance.speaker][name].add(_chapter(corpus, utterance))
            if split != "audio":
                self.held_out[family, utterance.speaker].add(name)

    def find(self, name: str, corpus: Any, utterance: CorpusUtterance, split: str) -> str | None:
        """Why an utterance is left out on account of another corpus; None where it is not."""
        family = getattr(corpus, "family", None)
        if not family:
            return None
        if split == "audio" and self.held_out.get((family, utterance.speaker), set()) - {name}:
            return "their speakers held out in another corpus"
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
    """An entry of ``exclude``, or the lines of the file that it names."""
    path = work_dir / entry
    if path.is_file():
        yield from (line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    elif "/" in entry:
        raise UserError(f"exclude: {path} is not a file; give one with a speaker or id a line")
    else:
        yield entry


def _published(corpus: Any, hours: float) -> str:
    """The published hours, where more than ``MISSING_SHARE`` of them is missing."""
    published = (corpus.info.hours or 0.0) if isinstance(corpus, AudioCorpus) else 0.0
    return f"; published are {published:g} h" if hours < (1 - MISSING_SHARE) * published else ""
