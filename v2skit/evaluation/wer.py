"""Word error rate: edits counted a sentence at a time, rates pooled over a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Edits:
    """What turns a reference of ``words`` words into a hypothesis, by as few edits as possible."""

    substitutions: int
    deletions: int
    insertions: int
    words: int

    @property
    def errors(self) -> int:
        """Substitutions, deletions and insertions together."""
        return self.substitutions + self.deletions + self.insertions


def count_edits(reference: Sequence[str], hypothesis: Sequence[str]) -> Edits:
    """Levenshtein alignment of two word sequences; an empty hypothesis is all deletions."""
    row = [(j, 0, 0, j) for j in range(len(hypothesis) + 1)]  # (errors, substitutions, deletions, insertions)
    for i, word in enumerate(reference, 1):
        above, row = row, [(i, 0, i, 0)]
        for j, other in enumerate(hypothesis, 1):
            kept, dropped, added = above[j - 1], above[j], row[j - 1]
            row.append(
                kept
                if word == other
                else min(
                    (kept[0] + 1, kept[1] + 1, kept[2], kept[3]),
                    (dropped[0] + 1, dropped[1], dropped[2] + 1, dropped[3]),
                    (added[0] + 1, added[1], added[2], added[3] + 1),
                )
            )
    return Edits(*row[-1][1:], len(reference))


def chance_wer(sentences: Sequence[Sequence[str]], pairs: int = 2000, seed: int = 1) -> float | None:
    """Word error rate, as a share, of answering with the sentence of another utterance, drawn at random.

    It knows the corpus (its grammar, its word frequencies) but hears nothing, so it is what a system without
    intelligible speech gets. None where there are fewer than two sentences with words.
    """
    spoken = [s for s in sentences if s]
    if len(spoken) < 2:
        return None
    generator = np.random.default_rng(seed)
    which = generator.integers(len(spoken), size=pairs)
    other = (which + generator.integers(1, len(spoken), size=pairs)) % len(spoken)
    edits = [count_edits(spoken[i], spoken[j]) for i, j in zip(which, other, strict=True)]
    return sum(e.errors for e in edits) / sum(e.words for e in edits)
