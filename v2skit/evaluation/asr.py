"""Speech recognition: a waveform -> words, for the word error rate."""

from __future__ import annotations

from importlib.metadata import version
from typing import Protocol

import numpy as np

from v2skit.errors import UserError
from v2skit.evaluation.metrics import NOT_SCORED, resample
from v2skit.system.extras import needs


class Asr(Protocol):
    """A recogniser component. Scoring copies it to other processes, so it must pickle.

    Attributes:
        protocol: recogniser, version and language model; word error rates compare only within one.
    """

    protocol: str

    def __call__(self, waveform: np.ndarray, rate: int) -> list[str]:
        """Words, in upper case, of a waveform (N,) at ``rate`` Hz; none where nothing is recognised."""


class PocketSphinx:
    """CMU PocketSphinx with its US English model, by the corpus's grammar or for open vocabulary.

    Each utterance is decoded on its own, at one peak level and between silences, so that neither the order of the
    files, nor their level, nor a word at the very edge changes what is recognised.

    Args:
        grammar: JSGF, words in lower case; None for the n-gram language model.

    Raises:
        UserError: pocketsphinx is missing, or the grammar does not parse or has a word that is not in the dictionary.
    """

    rate = 16000
    _silence_seconds = 0.2
    _peak = 0.7
    _british = {"z": "Z EH D"}  # the dictionary is American, the talkers of GRID are not

    def __init__(self, grammar: str | None = None) -> None:
        self.grammar = grammar
        with needs("evaluate", "PocketSphinx", f"{NOT_SCORED}: --set scoring.asr=null"):
            from pocketsphinx import Decoder as decoder

        kind = "corpus grammar" if grammar else "en-us n-gram model"
        self.protocol = f"WER over all words of the set, PocketSphinx {version('pocketsphinx')}, en-us, {kind}"
        if grammar is None:
            self._decoder = decoder(loglevel="FATAL")
        else:
            # All sentences of a grammar are as likely: acoustic scores decide, and a lattice pass adds nothing.
            self._decoder = decoder(lm=None, lw=1.0, bestpath=False, loglevel="FATAL")
        for word, phones in self._british.items():
            self._decoder.add_word(f"{word}(2)", phones)
        if grammar is not None:
            try:
                self._decoder.add_jsgf_string("grammar", grammar)
            except (ValueError, RuntimeError) as error:
                raise UserError(
                    "the grammar can't be used: it must be JSGF with one public rule, and all its words, in lower "
                    "case, must be in PocketSphinx's English dictionary"
                ) from error
            self._decoder.activate_search("grammar")

    def __reduce__(self) -> tuple:
        return type(self), (self.grammar,)

    def __call__(self, waveform: np.ndarray, rate: int) -> list[str]:
        """See :class:`Asr`. UserError for samples that are not finite."""
        if not np.isfinite(waveform).all():
            raise UserError("samples that are not finite")
        sound = resample(waveform.astype(np.float64), rate, self.rate)
        sound = np.pad(sound, round(self._silence_seconds * self.rate))
        peak = np.abs(sound).max()
        if not peak:
            return []
        samples = np.round(sound * (self._peak * 32767 / peak)).astype("<i2")
        self._decoder.start_utt()
        self._decoder.process_raw(samples.tobytes(), full_utt=True)
        self._decoder.end_utt()
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr.upper().split() if hypothesis else []
