"""Word and character error rates: edits are counted by sentence, and pooled over a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from v2skit.evaluation.stored_forms import Count

PERCENT = 100.0
"""Error rates of results are in %."""
NORMALISER = "upper case, split at white space"
"""Of the transcripts whose words are counted, for evaluation protocols; a recogniser may have another one."""


@dataclass(frozen=True)
class Edits:
    """The smallest number of edits that turn a reference of ``words`` words, or characters, into a hypothesis."""

    substitutions: Count
    deletions: Count
    insertions: Count
    words: Count

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions


def count_edits(reference: Sequence[str], hypothesis: Sequence[str]) -> Edits:
    """Levenshtein alignment of two sequences of words or characters; ties favour insertions, then deletions, over
    substitutions."""
    row = [(j, 0, 0, j) for j in range(len(hypothesis) + 1)]  # (errors, substitutions, deletions, insertions)
    for i, word in enumerate(reference, 1):
        above, row = row, [(i, 0, i, 0)]
        for j, other in enumerate(hypothesis, 1):
            match, deletion, insertion = above[j - 1], above[j], row[j - 1]
            row.append(
                match
                if word == other
                else min(
                    (match[0] + 1, match[1] + 1, match[2], match[3]),
                    (deletion[0] + 1, deletion[1], deletion[2] + 1, deletion[3]),
                    (insertion[0] + 1, insertion[1], insertion[2], insertion[3] + 1),
                )
            )
    return Edits(*row[-1][1:], len(reference))


def chance_wer(sentences: Sequence[Sequence[str]], pairs: int = 2000, seed: int = 1) -> float | None:
    """Chance level of the word error rate: the answer is the sentence of another utterance, drawn at random.

    It follows the corpus's grammar and word frequencies but uses no audio, as a recogniser with a grammar does on
    unintelligible speech.

    Args:
        sentences: words of each utterance of the set.
        pairs: number of random pairs of utterances.
        seed: of the random pairs.

    Returns:
        a fraction; None where fewer than two sentences have words.
    """
    with_words = [s for s in sentences if s]
    if len(with_words) < 2:
        return None
    generator = np.random.default_rng(seed)
    which = generator.integers(len(with_words), size=pairs)
    other = (which + generator.integers(1, len(with_words), size=pairs)) % len(with_words)
    edits = [count_edits(with_words[i], with_words[j]) for i, j in zip(which, other, strict=True)]
    return sum(e.errors for e in edits) / sum(e.words for e in edits)
