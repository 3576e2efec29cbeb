"""Normal forms of text: what a tokenizer encodes, and what transcripts and hypotheses are compared as."""

from __future__ import annotations

import re
import unicodedata

_OUTER_APOSTROPHES = re.compile(r"(?<![^\s'])'+|'+(?![^\s'])")
_WORD_CATEGORIES = "LMN"  # letters, combining marks, numbers
_ZERO_WIDTH_SPACE = "\u200b"  # separates words, though it is no white space


def normalise(text: str, punctuation: bool = False) -> str:
    """Unicode NFKC, in lower case, words separated by single spaces.

    Args:
        text: as a corpus writes it.
        punctuation: keep punctuation and symbols; otherwise only apostrophes within words are kept.

    Returns:
        "" where the text has no words.
    """
    # Lower case may have decomposed characters, so that NFKC comes after it too.
    text = _printed(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()))
    return " ".join(text.split()) if punctuation else _words(text)


def capitals(text: str) -> str:
    """The words in upper case, Unicode NFKC, without punctuation, separated by single spaces: the text of data
    directories. "" where there are none."""
    return unicodedata.normalize("NFKC", _words(_printed(unicodedata.normalize("NFKC", text))).upper())


def _printed(text: str) -> str:
    """Without characters that only format, such as joiners and soft hyphens, which are within words; with one kind of
    apostrophe."""
    text = text.replace("’", "'").replace(_ZERO_WIDTH_SPACE, " ")
    return text if text.isascii() else "".join(c for c in text if unicodedata.category(c) != "Cf")


def _words(text: str) -> str:
    kept: list[str] = []
    for c in text:
        kind = unicodedata.category(c)[0]
        stray = kind == "M" and not (kept and unicodedata.category(kept[-1])[0] in _WORD_CATEGORIES)  # of a symbol
        kept.append(c if c == "'" or (kind in _WORD_CATEGORIES and not stray) else " ")
    return " ".join(_OUTER_APOSTROPHES.sub(" ", "".join(kept)).split())
