"""Tokenizer ``phonemes``: the phonemes that espeak-ng gives for the training texts."""

from __future__ import annotations

from v2skit.text.alphabet import Alphabet
from v2skit.text.espeak import phonemes
from v2skit.text.normalise import normalise


class Phonemes(Alphabet):
    """One token for each phoneme in IPA, and the space between words; ``decode`` gives words in IPA.

    Error rates of its hypotheses compare them with the transcript in IPA.

    Args:
        language: a voice of espeak-ng, such as ``en-us``, ``de``, ``cmn``.
    """

    def __init__(self, language: str = "en-us") -> None:
        super().__init__()
        self.language = language

    def split(self, text: str) -> list[str]:
        """The phonemes of the words, a space between these.

        Raises:
            UserError: espeak-ng is not installed, or has no such language.
        """
        words = phonemes(normalise(text), self.language)
        return [symbol for word in words for symbol in (" ", *word)][1:]
