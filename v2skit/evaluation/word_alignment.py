"""Alignment of what was recognised to what was said: words, or the sounds of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from v2skit.evaluation.file_scores import FileScores

Pair = tuple[str, str | None]
"""(word or sound of the reference, that of the hypothesis; None where it was deleted)."""


def _unequal(word: str, other: str) -> float:
    return float(word != other)


def aligned(
    reference: Sequence[str],
    hypothesis: Sequence[str],
    distance: Callable[[str, str], float] = _unequal,
    gap: float = 1.0,
) -> list[str | None]:
    """For each word of the reference the hypothesis's word, None where it was deleted; with the lowest sum of costs,
    and substitutions where costs are equal.

    Args:
        reference: words or sounds.
        hypothesis: words or sounds.
        distance: the cost of a substitution, 0 for the same word.
        gap: the cost of a deletion and of an insertion. With both defaults, the alignment has the fewest edits.
    """
    row: list[tuple[float, list[str | None]]] = [(j * gap, []) for j in range(len(hypothesis) + 1)]
    for i, word in enumerate(reference, 1):
        above, row = row, [(i * gap, [None] * i)]
        for j, other in enumerate(hypothesis, 1):
            paths = [
                (above[j - 1][0] + distance(word, other), [*above[j - 1][1], other]),
                (above[j][0] + gap, [*above[j][1], None]),
                (row[j - 1][0] + gap, row[j - 1][1]),
            ]
            row.append(min(paths, key=lambda path: path[0]))
    return row[-1][1]


def word_pairs(files: Sequence[FileScores]) -> list[list[Pair]]:
    """Of each file that was recognised, its reference's words, each with that of the hypothesis."""
    recognised = [file for file in files if file.edits]
    return [list(zip(f.reference, aligned(f.reference, f.hypothesis), strict=True)) for f in recognised]
