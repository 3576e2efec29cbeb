"""The report on data directories as Markdown."""

from __future__ import annotations

from typing import Any

from v2skit.preparation.overlap import SHARED

DELAY = "audio delay, frames"
DELAY_NOTE = (
    "Audio delay: the lag at which the mouth predicts the audio best; it leads naturally, so that synchronous clips "
    "measure about -0.2 frames (GRID) to -0.4 (the mini corpus). Compare corpora that are trained on together; a "
    "difference between them is real. Stage 1 corrects the offsets of speakers, unless prepare.offset says otherwise."
)


def describe(report: dict[str, Any]) -> str:
    """The Markdown of a report of :func:`v2skit.preparation.inspect.check`."""
    facts, pairs, errors = report["directories"], report["shared"], report["errors"]
    rows = list(dict.fromkeys(key for found in facts.values() for key in found))
    lines = ["# Data directories", "", *_table(facts, rows), "", "Three numbers: minimum, median, maximum."]
    if any(DELAY in found for found in facts.values()):
        lines += ["", DELAY_NOTE]
    if pairs:
        shared = {pair: {SHARED[kind]: counts[kind] for kind in SHARED} for pair, counts in pairs.items()}
        lines += ["", "## Shared by two of them", "", *_table(shared, list(SHARED.values()))]
    if report["speakers"]:
        lines += ["", "## Speakers", "", *(f"- {line}" for line in report["speakers"])]
    lines += ["", "## Warnings", "", *(f"- {line}" for line in report["warnings"] or ["none"])]
    if errors:
        lines += ["", "## Errors", ""]
        for name, found in errors.items():
            lines.append(f"- {name}: {found['utterances']} utterances can't be used")
            lines += [f"    - {example}" for example in found["examples"]]
    return "\n".join(lines) + "\n"


def _table(columns: dict[str, dict[str, Any]], rows: list[str]) -> list[str]:
    lines = ["| | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    return lines + [
        f"| {row} | " + " | ".join(_cell(facts.get(row)) for facts in columns.values()) + " |" for row in rows
    ]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return " / ".join(f"{v:g}" for v in value)
    if isinstance(value, dict) and "clips" in value:
        if value["frames"] is None:
            return f"not measurable on {value['clips']} clips"
        return f"{value['frames']:+.2f} [{value['low']:+.2f}, {value['high']:+.2f}], {value['clips']} clips"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {count}" for key, count in value.items())
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
