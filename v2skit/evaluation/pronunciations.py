"""Pronunciations of English words: CMU's dictionary, as PocketSphinx comes with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

LETTER_WORDS = {"A", "I", "O"}
"""Letters that are words too."""

Pronunciations = dict[str, list[tuple[str, ...]]]
"""Word in upper case -> its pronunciations, the most frequent one first."""


def pronunciations(words: Iterable[str]) -> Pronunciations | None:
    """The pronunciations of words; those that the dictionary lacks are left out. None where PocketSphinx is not
    installed.

    Where words have letters that are nothing else, as in GRID, a letter is pronounced as its name: A as in "plan A".
    """
    if find_spec("pocketsphinx") is None:
        return None
    from pocketsphinx import get_model_path

    wanted = {word.upper() for word in words}
    found: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
    with Path(get_model_path("en-us/cmudict-en-us.dict")).open(encoding="utf-8") as lines:
        for line in lines:
            entry, *phones = line.split()
            word = entry.partition("(")[0].upper()
            if word in wanted:
                found[word].append(tuple(phones))
    if any(len(word) == 1 and word.isalpha() for word in wanted - LETTER_WORDS) and "A" in found:
        found["A"].sort(key=lambda phones: phones != ("EY",))
    return dict(found)
