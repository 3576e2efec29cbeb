"""Confusions of sounds: what the lips can't tell apart, and how a system does on the other sounds.

Recognised words are aligned to reference words; the sounds of a substituted word are aligned to those of the word that
was recognised in its place, similar sounds preferred.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from v2skit.evaluation.pronunciations import Pronunciations
from v2skit.evaluation.visemes import VISEME_OF, VISEMES, VOWELS
from v2skit.evaluation.wer import PERCENT
from v2skit.evaluation.word_alignment import Pair, aligned

Pronounce = Callable[[Iterable[str]], Pronunciations | None]
"""Words -> their pronunciations; None where there is no dictionary."""

MIN_KNOWN = 0.5
"""Share of the reference's words with a pronunciation from which on there is a breakdown: less is another language."""
ALIKE, SIMILAR, OTHER, GAP = 2.0, 3.0, 4.0, 3.0
"""Costs of the alignment: substitution within a viseme; vowel by vowel or consonant by consonant; other substitution;
deletion or insertion."""
PROTOCOL = (
    "recognised words aligned to reference words, the sounds of a substituted word to those of the one in its place; "
    "first pronunciations of CMU's dictionary; viseme classes of Neti et al. 2000"
)
ALL = "all"
"""Name of the entry of all classes."""
CONFUSIONS = 10
"""Most frequent confusions of phonemes that are kept."""


def sound_breakdown(sentences: Mapping[str, list[list[Pair]]], pronounce: Pronounce) -> dict[str, Any] | None:
    """How often the sounds of reference words were recognised.

    Args:
        sentences: results row -> of each file its reference's words with those of the hypothesis.
        pronounce: words -> their pronunciations.

    Returns:
        ``protocol``; ``unknown_words``, the share of reference words without a pronunciation, in %, which are left
        out; and ``rows``, of each row ``visemes`` and ``confusions``. Viseme class, and ``all`` -> ``n`` sounds, and
        in % of them ``phonemes`` (the sound was recognised), ``visemes`` (one of its class was), ``deleted``.
        Confusions are (phoneme, recognised one, count, whether they look alike). None where there is no dictionary,
        or for another language.
    """
    words = {word for found in sentences.values() for s in found for pair in s for word in pair if word}
    known = pronounce(words)
    references = [word for sentence in next(iter(sentences.values())) for word, _ in sentence]
    if known is None or sum(word in known for word in references) < MIN_KNOWN * len(references):
        return None
    lacking = sum(word not in known for word in references) / len(references)
    return {
        "protocol": PROTOCOL,
        "unknown_words": round(PERCENT * lacking, 2),
        "rows": {row: _row(_sound_pairs(found, known)) for row, found in sentences.items()},
    }


def _sound_pairs(sentences: list[list[Pair]], known: Pronunciations) -> list[Pair]:
    """The sounds of the reference's words, each with the recognised one; without words that lack a pronunciation."""
    found: list[Pair] = []
    for word, heard in (pair for sentence in sentences for pair in sentence):
        if word in known and (heard is None or heard in known):
            found += _sounds_of(word, heard, known)
    return found


def _sounds_of(word: str, heard: str | None, known: Pronunciations) -> list[Pair]:
    first = known[word][0]
    if heard is None:
        return [(sound, None) for sound in first]
    if heard == word:
        return [(sound, sound) for sound in first]
    return list(zip(first, aligned(first, known[heard][0], _distance, GAP), strict=True))


def _distance(sound: str, other: str) -> float:
    if sound == other:
        return 0.0
    if _alike(sound, other):
        return ALIKE
    return SIMILAR if (sound in VOWELS) == (other in VOWELS) else OTHER


def _row(pairs: list[Pair]) -> dict[str, Any]:
    counts = Counter(pairs)
    visemes = {name: _shares(counts, sounds) for name, sounds in {**VISEMES, ALL: tuple(VISEME_OF)}.items()}
    confused = [(pair, count) for pair, count in counts.most_common() if pair[1] and pair[0] != pair[1]]
    return {
        "visemes": {name: shares for name, shares in visemes.items() if shares["n"]},
        "confusions": [(sound, heard, count, _alike(sound, heard)) for (sound, heard), count in confused[:CONFUSIONS]],
    }


def _shares(counts: Counter[Pair], sounds: tuple[str, ...]) -> dict[str, Any]:
    """Of the reference's sounds that are in ``sounds``."""
    theirs = {pair: count for pair, count in counts.items() if pair[0] in sounds}
    total = sum(theirs.values())
    numbers = {
        "phonemes": sum(count for (sound, heard), count in theirs.items() if sound == heard),
        "visemes": sum(count for pair, count in theirs.items() if _alike(*pair)),
        "deleted": sum(count for (_, heard), count in theirs.items() if heard is None),
    }
    return {"n": total, **{key: round(PERCENT * number / max(total, 1), 2) for key, number in numbers.items()}}


def _alike(sound: str, heard: str | None) -> bool:
    return heard is not None and VISEME_OF[sound] == VISEME_OF[heard]
