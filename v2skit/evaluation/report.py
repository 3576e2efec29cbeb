"""Results of several systems: ``results.json`` and ``results.md``, with bootstrap confidence intervals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from v2skit.errors import UserError
from v2skit.evaluation import lip_reading
from v2skit.evaluation.alignment import LAG, PROTOCOL
from v2skit.evaluation.bootstrap import LEVEL, summary
from v2skit.evaluation.breakdown import break_down
from v2skit.evaluation.file_scores import WER, FileScores
from v2skit.evaluation.markdown import to_markdown
from v2skit.evaluation.pronunciations import pronunciations
from v2skit.evaluation.score import SystemScores
from v2skit.evaluation.stored_scores import talkers
from v2skit.evaluation.wer import PERCENT, chance_wer
from v2skit.system.atomic import write_text


def write_results(
    rows: dict[str, SystemScores],
    directory: Path,
    pairs: Sequence[tuple[str, str]] = (("pretrained", "scratch"),),
    bootstrap: int = 10000,
    seed: int = 1,
    notes: dict[str, Any] | None = None,
    readings: lip_reading.Readings | None = None,
    stated: dict[str, Any] | None = None,
) -> None:
    """Write ``results.json`` and ``results.md``.

    Args:
        rows: name of each results row -> scores of its system, in the order of the table.
        directory: of both files; created where there is none.
        pairs: (a, b): report the paired difference a - b over the files that both rows have; left out where a row is
            missing.
        bootstrap: number of resamples.
        seed: of the bootstrap and of the chance level.
        notes: heading -> text at the end of the report.
        readings: hypotheses of heads that read lips, if any.
        stated: what else ``results.json`` says: the row that the experiment is about, the evaluation protocol and the
            conditions, see :func:`v2skit.evaluation.protocol.stated`.

    Raises:
        UserError: there are no rows or no resamples, or the rows were scored by different protocols.
    """
    results = {**summarise(rows, pairs, bootstrap, seed, notes), **(stated or {})}
    if readings:
        results["lip_reading"] = lip_reading.summarise(readings, pairs, bootstrap, seed)
    files = {name: row.files for name, row in rows.items()}
    results["breakdowns"] = break_down(files, talkers(files), pronunciations)
    write_text(directory / "results.json", json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    write_text(directory / "results.md", to_markdown(results))


def summarise(
    rows: dict[str, SystemScores],
    pairs: Sequence[tuple[str, str]],
    bootstrap: int,
    seed: int,
    notes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The content of ``results.json``; arguments and errors as :func:`write_results`. Error rates are in %."""
    if not rows:
        raise UserError("there are no scores to report; stage 6 makes them")
    if bootstrap < 1:
        raise UserError(f"bootstrap {bootstrap}: at least one resample is needed")
    first = next(iter(rows.values()))
    for name, row in rows.items():
        if row.protocols != first.protocols:
            raise UserError(f"row '{name}' was scored by other protocols than '{next(iter(rows))}'; score both again")

    def entry(name: str, *systems: SystemScores) -> dict[str, Any]:
        """Mean of one metric, or the paired difference of its means, over the files that all systems have."""
        columns = [{f.id: term(f, name) for f in s.files if name in f.values} for s in systems]
        return summary(*columns, resamples=bootstrap, seed=seed)

    def entries(*systems: SystemScores) -> dict[str, Any]:
        """As ``entry``, of every metric."""
        return {name: entry(name, *systems) for name in systems[0].higher_is_better}

    def table(rows: dict[str, SystemScores]) -> dict[str, Any]:
        """Of each row, the entry of every metric and the number of files that it failed for."""
        failed = {name: Counter(m for f in row.files for m in f.failures) for name, row in rows.items()}
        return {
            name: {metric: {**e, "failed": failed[name][metric]} for metric, e in entries(row).items()}
            for name, row in rows.items()
        }

    aligned = {name: scores for name, row in rows.items() if (scores := row.aligned)}
    chance = chance_wer([f.reference for f in first.files], seed=seed) if WER in first.protocols else None
    return {
        "rows": table(rows),
        "differences": {f"{a} - {b}": entries(rows[a], rows[b]) for a, b in pairs if a in rows and b in rows},
        "chance_wer": None if chance is None else round(PERCENT * chance, 2),
        "files": {name: len(row.files) for name, row in rows.items()},
        "silent": {name: sum(file.silent for file in row.files) for name, row in rows.items()},
        "failures": {name: {f.id: f.failures for f in row.files if f.failures} for name, row in rows.items()},
        **({"aligned": {"rows": table(aligned), "protocols": {LAG: PROTOCOL}}} if aligned else {}),
        "protocols": first.protocols,
        "higher_is_better": first.higher_is_better,
        "bootstrap": {"resamples": bootstrap, "seed": seed, "level": LEVEL},
        "notes": notes or {},
    }


def term(scores: FileScores, name: str) -> tuple[float, float]:
    """A file's terms of the numerator and the denominator of the mean: of error rates, edits and words or
    characters."""
    edits = scores.error_rates.get(name)
    if edits:
        return PERCENT * edits.errors, edits.words
    return scores.values[name], 1.0
