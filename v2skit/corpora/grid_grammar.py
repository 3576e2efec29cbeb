"""The GRID sentence: command, colour, preposition, letter, digit, adverb (Cooke et al., JASA 120(5), 2006)."""

from __future__ import annotations

import base64
import zlib
from itertools import compress, product

import numpy as np

from v2skit.errors import UserError

SLOTS = ("command", "colour", "preposition", "letter", "digit", "adverb")
DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
WORDS: tuple[dict[str, str], ...] = (
    {word[0].lower(): word for word in ("BIN", "LAY", "PLACE", "SET")},
    {word[0].lower(): word for word in ("BLUE", "GREEN", "RED", "WHITE")},
    {word[0].lower(): word for word in ("AT", "BY", "IN", "WITH")},
    {letter.lower(): letter for letter in "ABCDEFGHIJKLMNOPQRSTUVXYZ"},
    {"z": DIGITS[0]} | {str(digit): DIGITS[digit] for digit in range(1, 10)},
    {word[0].lower(): word for word in ("AGAIN", "NOW", "PLEASE", "SOON")},
)
"""One table a slot, code letter -> word. All words, in lower case, are in pocketsphinx's English dictionary."""

_RECORDED = (
    "eNrtmLENwCAMBFmOubIOyzEBhZMihEipwyEd7iIX9mO//U5Kt+UjHmv1+mglve1n//zwa+AmUpgP8uUn3nj4OdzRUOwo1wrZ7uSM"
    "KWjDkbEryjV0vKIDzrfHu9+3x78p2IqP4sa3mpXq2U31XXZR2Re4mbjwMO69xzfFZ6WAcg19dHTGoA1nvdRGt/vkG7rPtL9e6wJS"
    "wijiQivirJI9QinZu39farKyn3MKXmU="
)
"""One bit a sentence of the grammar, in the order of :func:`all_codes`: whether a talker of GRID says it. Derived from
the names of the alignments of its 34 talkers (Zenodo record 3625687, CC BY 4.0); packed, deflated, in base 64."""


def all_codes() -> list[str]:
    """The codes of all 64,000 sentences of the grammar, in the order of :data:`WORDS`."""
    return list(map("".join, product(*WORDS)))


def unrecorded_codes() -> list[str]:
    """The codes of the 30,000 sentences that none of GRID's 34 talkers says, so that no clip of GRID has their text."""
    recorded = np.unpackbits(np.frombuffer(zlib.decompress(base64.b64decode(_RECORDED)), np.uint8))
    return list(compress(all_codes(), recorded == 0))


def sentence_from_code(code: str) -> str:
    """``"bbaf2n"`` -> ``"BIN BLUE AT F TWO NOW"``. Raises UserError where that is not the code of a sentence."""
    if len(code) != len(WORDS):
        raise UserError(f"'{code}' is not a GRID code: it needs {len(WORDS)} characters, such as 'bbaf2n'")
    for letter, slot, words in zip(code, SLOTS, WORDS, strict=True):
        if letter not in words:
            raise UserError(f"'{code}' is not a GRID code: '{letter}' is no {slot}; known: {', '.join(words)}")
    return " ".join(words[letter] for letter, words in zip(code, WORDS, strict=True))


def sample_codes(count: int, generator: np.random.Generator) -> list[str]:
    """Draw ``count`` different sentences, as codes. Raises UserError where the grammar has fewer."""
    sizes = tuple(map(len, WORDS))
    total = int(np.prod(sizes))
    if count > total:
        raise UserError(f"{count} different GRID sentences are asked for, the grammar has {total}; ask for fewer")
    picks = np.unravel_index(generator.choice(total, count, replace=False), sizes)
    keys = [list(words) for words in WORDS]
    return ["".join(slot[i] for slot, i in zip(keys, pick, strict=True)) for pick in zip(*picks, strict=True)]


def jsgf() -> str:
    """The JSGF grammar of the sentences; its words are those of :data:`WORDS` in lower case."""
    rules = [f"<{slot}> = {' | '.join(words.values()).lower()};" for slot, words in zip(SLOTS, WORDS, strict=True)]
    sentence = " ".join(f"<{slot}>" for slot in SLOTS)
    return "\n".join(["#JSGF V1.0;", "grammar grid;", f"public <sentence> = {sentence};", *rules]) + "\n"
