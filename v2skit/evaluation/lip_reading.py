"""Lip reading: the hypotheses of a head that decodes text, against the transcripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from v2skit.evaluation.bootstrap import summary
from v2skit.evaluation.wer import PERCENT, count_edits


@dataclass(frozen=True)
class Hypothesis:
    """What a head read in one silent video.

    Args:
        id: utterance id.
        text: the hypothesis, words separated by spaces.
        reference: the transcript in the same normal form; empty where there is none.
    """

    id: str
    text: str
    reference: str


Readings = dict[str, dict[str, list[Hypothesis]]]
"""Name of a head -> name of a results row -> hypotheses of its test set."""

UNITS: dict[str, tuple[str, Callable[[str], Sequence[str]]]] = {
    "cer": ("CER: edits a character of the transcripts, spaces among them", list),
    "wer": ("WER: edits a word of the transcripts", str.split),
}
"""Error rate -> its protocol, and the units of a text that are compared."""


def summarise(readings: Readings, pairs: Sequence[tuple[str, str]], bootstrap: int, seed: int) -> dict[str, Any]:
    """Error rates of the hypotheses in %, pooled over the test set, with bootstrap intervals over its utterances.

    Utterances without a transcript are left out.

    Args:
        readings: of all heads.
        pairs: (a, b): the paired difference a - b, left out where a row is missing.
        bootstrap: number of resamples.
        seed: of the bootstrap.

    Returns:
        name of the head -> ``rows``, ``differences`` and ``protocols``, by ``cer`` and ``wer``.
    """

    def entries(*columns: dict[str, dict[str, tuple[float, float]]]) -> dict[str, Any]:
        return {unit: summary(*(c[unit] for c in columns), resamples=bootstrap, seed=seed) for unit in UNITS}

    found = {}
    for head, rows in readings.items():
        columns = {row: _terms(hypotheses) for row, hypotheses in rows.items()}
        found[head] = {
            "rows": {row: entries(column) for row, column in columns.items()},
            "differences": {
                f"{a} - {b}": entries(columns[a], columns[b]) for a, b in pairs if a in columns and b in columns
            },
            "protocols": {unit: protocol for unit, (protocol, _) in UNITS.items()},
        }
    return found


def _terms(hypotheses: list[Hypothesis]) -> dict[str, dict[str, tuple[float, float]]]:
    """Error rate -> id -> (100 times the edits, units of the transcript)."""
    terms: dict[str, dict[str, tuple[float, float]]] = {unit: {} for unit in UNITS}
    for h in hypotheses:
        if h.reference:
            for unit, (_, split) in UNITS.items():
                edits = count_edits(split(h.reference), split(h.text))
                terms[unit][h.id] = PERCENT * edits.errors, edits.words
    return terms
