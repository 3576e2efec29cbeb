"""The normal form of text: what a tokenizer encodes, and what hypotheses are compared with."""

from __future__ import annotations

import re
import unicodedata

_OUTER_APOSTROPHE = re.compile(r"(?<!\w)'|'(?!\w)")
_WORD_CATEGORIES = "LMN"  # letters, combining marks, numbers


def normalise(text: str, punctuation: bool = False) -> str:
    """Unicode NFKC, in lower case, words separated by single spaces.

    Args:
        text: as a corpus writes it.
        punctuation: keep punctuation and symbols; otherwise only apostrophes within words are kept.

    Returns:
        "" where the text has no words.
    """
    # Lower case may have decomposed characters, so that NFKC comes after it too.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()).replace("’", "'")
    if not punctuation:
        text = _OUTER_APOSTROPHE.sub(" ", text)
        text = "".join(c if c == "'" or unicodedata.category(c)[0] in _WORD_CATEGORIES else " " for c in text)
    return " ".join(text.split())
