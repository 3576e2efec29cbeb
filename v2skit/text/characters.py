"""Tokenizer ``characters``: the characters of the training texts, the space among them."""

from __future__ import annotations

from v2skit.text.alphabet import Alphabet
from v2skit.text.normalise import normalise


class Characters(Alphabet):
    """One token for each character that occurs in the training texts, in their normal form.

    Args:
        punctuation: keep punctuation; otherwise only apostrophes within words are kept.
    """

    def __init__(self, punctuation: bool = False) -> None:
        super().__init__()
        self.punctuation = punctuation

    def split(self, text: str) -> list[str]:
        """The characters of the normal form."""
        return list(normalise(text, self.punctuation))
