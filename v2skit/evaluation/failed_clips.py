"""Clips that a metric failed for, in a comparison: left out, or counted with the worst score."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from v2skit.evaluation.file_scores import CER, WER, FileScores
from v2skit.evaluation.systems import System
from v2skit.evaluation.wer import Edits

Table = dict[str, FileScores]


def with_worst(systems: Sequence[System], higher_is_better: Mapping[str, bool]) -> list[System]:
    """The systems, where clips that failed have the worst score that any clip of any system has; of error rates, that
    of no recognised word. A clip that failed in all systems stays left out: nobody knows its scores.

    Args:
        systems: of one test set.
        higher_is_better: metric -> its direction; rows of other metrics are not changed.
    """
    tables = _filled([system.files for system in systems], higher_is_better)
    return [replace(system, files=files) for system, files in zip(systems, tables, strict=True)]


def _filled(tables: list[Table], higher_is_better: Mapping[str, bool]) -> list[Table]:
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for table in tables:
        for file in table.values():
            for name, value in file.values.items():
                scores[name][file.id].append(value)
    worst = {
        name: (min if higher_is_better[name] else max)(value for values in by_clip.values() for value in values)
        for name, by_clip in scores.items()
        if name in higher_is_better
    }
    aligned = [{i: file.aligned for i, file in table.items() if file.aligned} for table in tables]
    if any(aligned):
        aligned = _filled(aligned, higher_is_better)
    return [
        {
            i: _with(file, {name: value for name, value in worst.items() if i in scores[name]}, also.get(i))
            for i, file in table.items()
        }
        for table, also in zip(tables, aligned, strict=True)
    ]


def _with(file: FileScores, worst: Mapping[str, float], aligned: FileScores | None) -> FileScores:
    missing = {name: value for name, value in worst.items() if name not in file.values}
    edits, character_edits = file.edits, file.character_edits
    if WER in missing:
        missing[WER], edits = 1.0, _all_deleted(len(file.reference))
    if CER in missing:
        missing[CER], character_edits = 1.0, _all_deleted(len(" ".join(file.reference)))
    return replace(
        file, values={**file.values, **missing}, edits=edits, character_edits=character_edits, aligned=aligned
    )


def _all_deleted(count: int) -> Edits:
    return Edits(0, count, 0, count)
