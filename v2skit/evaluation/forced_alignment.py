"""Forced alignment: when each sound and each word of a transcript is said."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from v2skit.errors import UserError
from v2skit.evaluation.metrics import resample
from v2skit.system.extras import needs
from v2skit.text.timed import Timed

FRAMES_PER_SECOND = 100
"""Of PocketSphinx's features."""


class Sound(NamedTuple):
    """A sound of an utterance.

    Args:
        phoneme: Arpabet, ``SIL`` for silence.
        start: s.
        end: s.
    """

    phoneme: str
    start: float
    end: float


class ForcedAligner:
    """PocketSphinx with its US English acoustic model; of the pronunciations of a word the one that fits best.

    Raises:
        UserError: pocketsphinx is not installed.
    """

    rate = 16000
    _peak = 0.7

    def __init__(self) -> None:
        with needs("evaluate", "forced alignment"):
            from pocketsphinx import Decoder as decoder

        self._decoder = decoder(lm=None, loglevel="FATAL")

    def __call__(self, waveform: np.ndarray, rate: int, text: str) -> list[Sound]:
        """The sounds of an utterance, in order, without gaps.

        Args:
            waveform: (N,), in [-1, 1].
            rate: Hz.
            text: its words.

        Raises:
            UserError: a word is not in the dictionary, or the text can't be aligned to the audio.
        """
        self._align(waveform, rate, text)
        sounds = [phone for word in self._decoder.get_alignment() or () for phone in word]
        if not sounds:
            raise UserError("the text can't be aligned to the audio")
        return [Sound(s.name, s.start / FRAMES_PER_SECOND, (s.start + s.duration) / FRAMES_PER_SECOND) for s in sounds]

    def words(self, waveform: np.ndarray, rate: int, text: str) -> list[Timed]:
        """The words of an utterance, in order; arguments and errors as for sounds."""
        self._align(waveform, rate, text)
        found = [word for word in self._decoder.get_alignment() or () if word.name[0] not in "<(["]  # no silence
        texts = text.split()
        if len(found) != len(texts):
            raise UserError("the text can't be aligned to the audio")
        times = [(w.start / FRAMES_PER_SECOND, (w.start + w.duration) / FRAMES_PER_SECOND) for w in found]
        return [Timed(word, *time) for word, time in zip(texts, times, strict=True)]

    def _align(self, waveform: np.ndarray, rate: int, text: str) -> None:
        peak = np.abs(waveform).max(initial=0.0)
        if not peak or not text.split():
            raise UserError("silence, or no text")
        resampled = resample(waveform.astype(np.float64), rate, self.rate)
        samples = np.round(resampled * (self._peak * 32767 / np.abs(resampled).max())).astype("<i2").tobytes()
        try:
            self._decoder.set_align_text(text.lower())
            self._decode(samples)
            self._decoder.set_alignment()  # from words to sounds, in a second pass
            self._decode(samples)
        except RuntimeError as error:
            raise UserError(
                "the text can't be aligned: a word is not in the dictionary, or other words are said"
            ) from error

    def _decode(self, samples: bytes) -> None:
        self._decoder.start_utt()
        self._decoder.process_raw(samples, full_utt=True)
        self._decoder.end_utt()
