"""Automatic speech recognition: a waveform -> words, for the word error rate."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Protocol

import numpy as np

from v2skit.errors import UserError
from v2skit.evaluation.metrics import DROP_REMEDY, resample
from v2skit.system.extras import needs


class Asr(Protocol):
    """A speech recogniser component. Scoring copies it to other processes: it must be picklable.

    A recogniser may have ``words(text) -> list[str]``, by which the transcripts are split into words as its own are,
    and then ``normaliser``, which describes that. It may have ``unknown(words) -> list[str]``, those that it can't
    recognise.

    Attributes:
        protocol: recogniser, version and language model; word error rates are comparable only within one protocol.
    """

    protocol: str

    def __call__(self, waveform: np.ndarray, rate: int) -> list[str]:
        """Recognise a waveform.

        Args:
            waveform: (N,), in [-1, 1].
            rate: Hz.

        Returns:
            words, in upper case; empty where nothing is recognised.
        """


class PocketSphinx:
    """CMU PocketSphinx with its US English acoustic model at 16 kHz, and the corpus's grammar or an n-gram model.

    Each utterance is decoded by itself, normalised to one peak level and padded with silence: the words do not depend
    on the order of the files or their level, and those at the ends are complete.

    Args:
        grammar: in JSGF, words in lower case; None: the n-gram language model. Given by the toolkit, from the corpus.
        pronunciations: word -> its phones in CMU's symbols, for words that are not in the dictionary, or are said
            otherwise than there.

    Raises:
        UserError: pocketsphinx is not installed, or the grammar cannot be parsed or has a word without a pronunciation
            in the dictionary.
    """

    rate = 16000
    _silence_seconds = 0.2
    _peak = 0.7
    _variants = {"z": "Z EH D"}  # British, as the talkers of GRID say it; the dictionary is American

    def __init__(self, grammar: str | None = None, pronunciations: dict[str, str] | None = None) -> None:
        self.grammar, self.pronunciations = grammar, dict(pronunciations or {})
        with needs("evaluate", "PocketSphinx", f"{DROP_REMEDY}: --set scoring.asr=null"):
            from pocketsphinx import Decoder as decoder

        kind = "corpus grammar" if grammar else "en-us n-gram model"
        kind += f", pronunciations {self.pronunciations}" if self.pronunciations else ""
        self.protocol = f"WER over all words of the set, PocketSphinx {version('pocketsphinx')}, en-us, {kind}"
        if grammar is None:
            self._decoder = decoder(loglevel="FATAL")
        else:
            # All sentences of a grammar are equally likely: acoustic scores decide, and a lattice pass adds nothing.
            self._decoder = decoder(lm=None, lw=1.0, bestpath=False, loglevel="FATAL")
        for word, phones in {**self._variants, **self.pronunciations}.items():
            self._pronounce(word.lower(), phones)
        if grammar is not None:
            try:
                self._decoder.add_jsgf_string("grammar", grammar)
            except (ValueError, RuntimeError) as error:
                words = [word for word in _words_of(grammar) if self._decoder.lookup_word(word) is None]
                unknown = f"; it lacks {', '.join(words[:10])}: give scoring.asr.pronunciations" if words else ""
                raise UserError(
                    "the grammar can't be used: it must be JSGF with one public rule, and all its words, in lower "
                    f"case, must be in PocketSphinx's English dictionary{unknown}"
                ) from error
            self._decoder.activate_search("grammar")

    def __reduce__(self) -> tuple:
        return type(self), (self.grammar, self.pronunciations)

    def unknown(self, words: Iterable[str]) -> list[str]:
        """The words that the dictionary lacks."""
        return [word for word in words if self._decoder.lookup_word(word.lower()) is None]

    def _pronounce(self, word: str, phones: str) -> None:
        """Add a pronunciation of a word, to those that it has. Raises UserError where it is none."""
        name = f"{word}(2)" if self._decoder.lookup_word(word) else word
        try:
            self._decoder.add_word(name, phones.upper())
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"pronunciations: '{phones}' of '{word}' can't be used; give phones of CMU's dictionary, such as "
                "'L EY B ER'",
                key="scoring.asr.pronunciations",
            ) from error

    def __call__(self, waveform: np.ndarray, rate: int) -> list[str]:
        """See :class:`Asr`.

        Raises:
            UserError: samples are not finite.
        """
        if is_silent(waveform):
            return []
        padded = resample(waveform.astype(np.float64), rate, self.rate)
        padded = np.pad(padded, round(self._silence_seconds * self.rate))
        peak = np.abs(padded).max()
        samples = np.round(padded * (self._peak * 32767 / peak)).astype("<i2")
        self._decoder.start_utt()
        self._decoder.process_raw(samples.tobytes(), full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr.upper().split() if hypothesis else []


def is_silent(waveform: np.ndarray) -> bool:
    """Whether there is nothing to recognise in samples (N,). Raises UserError where they are not finite."""
    if not np.isfinite(waveform).all():
        raise UserError("samples that are not finite")
    return not waveform.any()


def _words_of(grammar: str) -> list[str]:
    """The words of a JSGF grammar, sorted."""
    rules = re.sub(r"#JSGF[^;]*;|grammar[^;]*;|public|<[^>]*>", " ", grammar)
    return sorted(set(re.findall(r"[\w'-]+", rules)))
