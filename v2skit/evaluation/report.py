"""Scores of several systems -> ``results.json`` and ``results.md``, with 95 % bootstrap intervals."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.errors import UserError
from v2skit.evaluation.bootstrap import LEVEL, interval
from v2skit.evaluation.score import WER, FileScores, SystemScores
from v2skit.evaluation.wer import chance_wer

LABELS = {
    "scratch": "from scratch",
    "pretrained": "pre-trained",
    "audio_to_audio": "A2A on the true sound",
    "griffin_lim": "Griffin-Lim",
    "predicted_griffin_lim": "predicted mel, Griffin-Lim",
    "predicted": "predicted mel",
    "predicted_finetuned": "predicted mel, fine-tuned",
}
_PERCENT = 100.0
FEW = 6
"""Files from which on there is an interval: fewer can't tell at its level even where all agree (sign test)."""


def write_results(
    rows: dict[str, SystemScores],
    directory: Path,
    pairs: Sequence[tuple[str, str]] = (("pretrained", "scratch"),),
    bootstrap: int = 10000,
    seed: int = 1,
    notes: dict[str, Any] | None = None,
) -> None:
    """Write ``results.json`` and ``results.md``.

    Args:
        rows: row name -> its scores, in the order of the table.
        directory: where to.
        pairs: (a, b): the paired difference a - b over the files that both have; left out where a row is missing.
        bootstrap: resamples.
        seed: of the bootstrap and of the chance level.
        notes: more to say, by heading.

    Raises:
        UserError: no rows, no resamples, or rows that were scored by different protocols.
    """
    results = summarise(rows, pairs, bootstrap, seed, notes)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (directory / "results.md").write_text(to_markdown(results), encoding="utf-8")


def summarise(
    rows: dict[str, SystemScores],
    pairs: Sequence[tuple[str, str]],
    bootstrap: int,
    seed: int,
    notes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What ``results.json`` holds; arguments and errors as in :func:`write_results`. Word error rates in per cent."""
    if not rows:
        raise UserError("there are no scores to report; stage 6 makes them")
    if bootstrap < 1:
        raise UserError(f"bootstrap {bootstrap}: at least one resample is needed")
    first = next(iter(rows.values()))
    for name, row in rows.items():
        if row.protocols != first.protocols:
            raise UserError(f"row '{name}' was scored by other protocols than '{next(iter(rows))}'; score both again")

    def entry(name: str, *systems: SystemScores) -> dict[str, Any]:
        columns = [{f.id: _term(f, name) for f in s.files if name in f.values} for s in systems]
        ids = [i for i in columns[0] if all(i in column for column in columns)]
        if not ids:
            return {"mean": None, "low": None, "high": None, "n": 0}
        terms = [tuple(np.array([column[i] for i in ids]).T) for column in columns]
        mean, low, high = (round(v, 6) for v in interval(*terms, resamples=bootstrap, seed=seed))
        return {"mean": mean, "low": low, "high": high, "n": len(ids)}

    def entries(*systems: SystemScores) -> dict[str, Any]:
        return {name: entry(name, *systems) for name in first.higher_is_better}

    failed = {name: Counter(m for f in row.files for m in f.failures) for name, row in rows.items()}
    chance = chance_wer([f.reference for f in first.files], seed=seed) if WER in first.protocols else None
    return {
        "rows": {
            name: {metric: {**e, "failed": failed[name][metric]} for metric, e in entries(row).items()}
            for name, row in rows.items()
        },
        "differences": {f"{a} - {b}": entries(rows[a], rows[b]) for a, b in pairs if a in rows and b in rows},
        "chance_wer": None if chance is None else round(_PERCENT * chance, 2),
        "files": {name: len(row.files) for name, row in rows.items()},
        "failures": {name: {f.id: f.failures for f in row.files if f.failures} for name, row in rows.items()},
        "protocols": first.protocols,
        "higher_is_better": first.higher_is_better,
        "bootstrap": {"resamples": bootstrap, "seed": seed, "level": LEVEL},
        "notes": notes or {},
    }


def to_markdown(results: dict[str, Any]) -> str:
    """``results.json`` as a page: the table, paired differences, failures, protocols."""
    directions = results["higher_is_better"]
    decimals = {name: _decimals(results["rows"], name) for name in directions}
    titles = [f"{_title(name)} {'↑' if up else '↓'}" for name, up in directions.items()]
    lines = ["# Results", "", _line("system", *titles), _line(*["---"] * (1 + len(titles)))]
    for row, entries in results["rows"].items():
        lines.append(_line(_label(row), *(_cell(entries[name], decimals[name]) for name in directions)))
    resamples, level = results["bootstrap"]["resamples"], results["bootstrap"]["level"]
    files = ", ".join(f"{_label(row)} {count}" for row, count in results["files"].items())
    told = f"In brackets, from {FEW} files on: {level} % intervals, {resamples} bootstrap resamples of the files."
    lines += ["", f"{told} Files: {files}."]
    if results["chance_wer"] is not None:
        lines.append(f"WER by chance (the sentence of another file): {results['chance_wer']:.1f} %.")
    for pair, entries in results["differences"].items():
        lines += ["", f"## {' minus '.join(map(_label, pair.split(' - ')))}", "", "Paired, file by file.", ""]
        lines += [f"* {_title(n)}: {_difference(e, decimals[n], directions[n])}" for n, e in entries.items()]
    lines += ["", "## Files that could not be scored", ""]
    failures = [
        f"* {_label(row)}, {', '.join(map(_title, metrics))}: {count} x {reason}"
        for row, by_file in results["failures"].items()
        for (reason, metrics), count in _reasons(by_file).items()
    ]
    lines += failures or ["None."]
    lines += ["", "## Protocols", ""]
    lines += [f"* {_title(name)}: {protocol}" for name, protocol in results["protocols"].items()]
    if results["notes"]:
        lines += ["", "## Notes", "", *(f"* {name}: {note}" for name, note in results["notes"].items())]
    return "\n".join(lines) + "\n"


def _term(scores: FileScores, name: str) -> tuple[float, float]:
    """Numerator and denominator of a file's share in the mean."""
    if name == WER and scores.edits is not None:
        return _PERCENT * scores.edits.errors, scores.edits.words
    return scores.values[name], 1.0


def _label(row: str) -> str:
    return LABELS.get(row, row.replace("_", " "))


def _title(name: str) -> str:
    return "WER %" if name == WER else name.upper().replace("_", "-")


def _decimals(rows: dict[str, Any], name: str) -> int:
    """Three figures or so, the same decimals down a column."""
    largest = max((abs(e[name]["mean"]) for e in rows.values() if e[name]["mean"] is not None), default=0.0)
    return 1 if largest >= 10 else 2 if largest > 1.01 else 3


def _cell(entry: dict[str, Any], decimals: int) -> str:
    failed = f" ({entry['failed']} failed)" if entry["failed"] else ""
    if not entry["n"]:
        return f"-{failed}"
    mean, low, high = (f"{entry[key]:.{decimals}f}" for key in ("mean", "low", "high"))
    return f"{mean}{failed}" if entry["n"] < FEW else f"{mean} [{low}, {high}]{failed}"


def _difference(entry: dict[str, Any], decimals: int, higher_is_better: bool) -> str:
    if not entry["n"]:
        return "no file has both"
    mean, low, high = (f"{entry[key]:+.{decimals}f}" for key in ("mean", "low", "high"))
    if entry["n"] < FEW:
        return f"{mean}, {entry['n']} file{'s' if entry['n'] > 1 else ''}: too few to tell"
    clear = entry["low"] > 0 or entry["high"] < 0
    verdict = ("better" if (entry["mean"] > 0) == higher_is_better else "worse") if clear else "no clear difference"
    return f"{mean} [{low}, {high}], {entry['n']} files: {verdict}"


def _reasons(by_file: dict[str, dict[str, str]]) -> Counter[tuple[str, tuple[str, ...]]]:
    """(reason, metrics that failed of it) -> in how many files."""
    counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for failures in by_file.values():
        for reason in dict.fromkeys(failures.values()):
            counts[reason, tuple(n for n, r in failures.items() if r == reason)] += 1
    return counts


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
