"""``results.md``: the content of ``results.json`` as a page for people; comparisons likewise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from v2skit.evaluation import breakdown_text
from v2skit.evaluation.alignment import LAG
from v2skit.evaluation.difference import Section
from v2skit.evaluation.file_scores import CER, WER
from v2skit.evaluation.leaderboard import Board
from v2skit.evaluation.text_table import in_cell, text_table

LABELS = {
    "scratch": "from scratch",
    "pretrained": "pre-trained",
    "predictor": "predictor (V2A)",
    "audio_to_audio": "A2A on ground-truth audio",
    "griffin_lim": "Griffin-Lim",
    "predicted_griffin_lim": "predicted mel, Griffin-Lim",
    "predicted_uncorrected": "predicted mel, uncorrected",
    "predicted": "predicted mel",
    "predicted_finetuned": "predicted mel, fine-tuned",
    "predicted_finetuned_corrected": "predicted mel, fine-tuned, corrected",
    "predicted_input": "predicted input",
    "predicted_input_finetuned": "predicted input, fine-tuned",
}
"""Name of a results row -> its label, where that is not the name with spaces."""

TITLES = {WER: "WER %", CER: "CER %", LAG: "lag, ms"}
"""Name of a number -> its title, where that is not the name in capitals."""

ALIGNED_NOTE = "Each file shifted by its lag. The scores to compare with published ones are those above."

MAX_NAMED = 8
"""Files that failed which are named in a line."""

MIN_FILES = 6
"""Files from which on an interval is shown: with fewer, not even a difference of the same sign in all of them is
significant at the interval's level (sign test)."""


def to_markdown(results: dict[str, Any]) -> str:
    """Table of the rows, paired differences, failures and protocols.

    Args:
        results: as :func:`v2skit.evaluation.report.summarise` returns them.
    """
    directions = results["higher_is_better"]
    decimals = {name: decimals_of(results["rows"], name) for name in directions}
    lines = ["# Results", "", *_table(results["rows"], directions, decimals)]
    resamples, level = results["bootstrap"]["resamples"], results["bootstrap"]["level"]
    files = ", ".join(f"{label_of(row)} {count}" for row, count in results["files"].items())
    intervals = f"{level} % confidence intervals (from {MIN_FILES} files on), {resamples} bootstrap resamples"
    lines += ["", f"In brackets: {intervals}. Files: {files}."]
    silent = ", ".join(f"{label_of(row)} {count}" for row, count in results["silent"].items() if count)
    if silent:
        lines.append(f"Silent files, which have the lowest scores of STOI, ESTOI and PESQ: {silent}.")
    if results["chance_wer"] is not None:
        lines.append(f"WER at chance level (the sentence of another file): {results['chance_wer']:.1f} %.")
    for pair, entries in results["differences"].items():
        lines += ["", f"## {' minus '.join(map(label_of, pair.split(' - ')))}", "", "Paired differences by file.", ""]
        lines += [f"* {title_of(n)}: {_difference(e, decimals[n])}" for n, e in entries.items()]
    if "aligned" in results:
        lines += ["", "## Time-aligned", "", ALIGNED_NOTE, ""]
        lines += _table(results["aligned"]["rows"], directions, {**decimals, LAG: 1})
    for head, found in results.get("lip_reading", {}).items():
        lines += _lip_reading(head, found)
    lines += breakdowns(results["breakdowns"]) if "breakdowns" in results else []
    lines += ["", "## Files that could not be scored", ""]
    failures = [
        f"* {label_of(row)}, {', '.join(map(title_of, metrics))}: {len(ids)} x {reason} ({listed(ids)})"
        for row, by_file in results["failures"].items()
        for (reason, metrics), ids in reasons_of(by_file).items()
    ]
    lines += failures or ["None."]
    lines += ["", "## Protocols", ""]
    protocols = {**results["protocols"], **results.get("aligned", {}).get("protocols", {})}
    if named := results.get("protocol"):
        lines.append(f"* Scored under protocol {named['name']}, fingerprint {named['fingerprint']}.")
    lines += [f"* {title_of(name)}: {protocol}" for name, protocol in protocols.items()]
    if results["notes"]:
        lines += ["", "## Notes", "", *(f"* {label_of(name)}: {note}" for name, note in results["notes"].items())]
    return "\n".join(lines) + "\n"


def breakdowns(
    found: dict[str, Any],
    slot: int | None = None,
    errors: dict[str, Any] | None = None,
    max_talkers: int = breakdown_text.MAX_TALKERS,
) -> list[str]:
    """The lines of the sections with breakdowns.

    Args:
        found: as :func:`v2skit.evaluation.breakdown.break_down` returns it.
        slot: number of the word of the sentence whose confusions are listed, from 1; None: none.
        errors: as :func:`v2skit.evaluation.sound_errors.sound_errors` returns them, if any.
        max_talkers: most talkers that are listed.

    Raises:
        UserError: there is no such slot.
    """

    def label(row: str) -> str:
        return row if "/" in row else label_of(row)

    lines = breakdown_text.sections(found, label, title_of, max_talkers)
    lines += breakdown_text.confusions(found, slot, label) if slot is not None else []
    return lines + (breakdown_text.by_time(errors, label) if errors else [])


def compared(found: dict[str, Any]) -> str:
    """Table of the systems of a comparison, and their differences from the first one.

    Args:
        found: as :func:`v2skit.evaluation.compare.compare` returns it.
    """
    systems, directions = found["systems"], found["higher_is_better"]
    names = list(dict.fromkeys(name for system in systems.values() for name in system["metrics"]))
    rows = {label: system["metrics"] for label, system in systems.items()}
    decimals = {name: decimals_of({k: v for k, v in rows.items() if name in v}, name) for name in names}
    titles = [_titled(name, directions) for name in names]
    cells = {
        label: [cell_of(found[n], decimals[n]) if n in found else "-" for n in names] for label, found in rows.items()
    }
    table = [[label, str(s["seeds"]), str(s["clips"]), *cells[label]] for label, s in systems.items()]
    lines = text_table(["system", "seeds", "clips", *titles], table, keys=3)
    intervals = f"{found['bootstrap']['level']} % intervals over clips, and over seeds where there are several"
    named = ", ".join(f"{label} {name}" for label, name in found["protocols"].items() if name)
    lines += ["", f"Protocols: {named}."] if named else []
    lines += ["", f"In brackets: {intervals}; {found['bootstrap']['resamples']} bootstrap resamples."]
    if found["unrecorded"]:
        lines.append(
            f"Conditions are not recorded of {', '.join(found['unrecorded'])}: only the test set and the columns that "
            "both state are known to agree; stage 6 with --force records the others."
        )
    lines += _failed(found)
    first = next(iter(systems))
    for label, entries in found["differences"].items():
        clips = systems[label]["clips"]
        lines += ["", f"## {label} minus {first}", ""]
        lines += [f"* {title_of(name)}: {_compared(entry, decimals[name], clips)}" for name, entry in entries.items()]
        for other in found["left_out"].get(label, ()):
            ways = f"'{other.now}' in {label}, '{other.before}' in {first}; stage 6 with --force scores again"
            lines.append(f"* {title_of(other.key)} is computed in another way, not compared: {ways}")
    for label, differences in found["refused"].items():
        lines += ["", f"## {label} and {first}: not ranked, other conditions", ""]
        lines += [f"* {d.key}: {d.now} in {label}, {d.before} in {first}" for d in differences]
    return "\n".join(lines) + "\n"


def _failed(found: dict[str, Any]) -> list[str]:
    """The clips of a comparison that a metric failed for, by system."""
    if not found["failed"]:
        return []
    if found["failed_are"] == "worst":
        lines = ["", "Clips that failed, which count with the worst score of any clip, and a WER of 100 %:", ""]
    else:
        lines = ["", "Clips that failed, left out of both systems (--failed worst counts them):", ""]
    for label, by_metric in found["failed"].items():
        metrics: dict[str, list[str]] = {}
        for name, ids in by_metric.items():
            metrics.setdefault(f"{len(ids)} of {found['systems'][label]['clips']} ({listed(ids)})", []).append(name)
        lines += [f"* {label}, {', '.join(map(title_of, names))}: {text}" for text, names in metrics.items()]
    return lines


def _compared(entry: dict[str, Any], decimals: int, clips: int) -> str:
    """Difference of two systems in one metric: over clips, over talkers where they are unseen, verdict."""
    if not entry["clips"]["n"]:
        return "no clip has both"
    parts = []
    for unit in ("clips", "talkers"):
        if unit in entry:
            low, high = (f"{entry[unit][key]:+.{decimals}f}" for key in ("low", "high"))
            interval = f"[{low}, {high}] " if entry[unit]["n"] >= MIN_FILES else ""
            of = f" of {clips}" if unit == "clips" and entry[unit]["n"] < clips else ""
            parts.append(f"{interval}over {entry[unit]['n']}{of} {unit}")
    return f"{entry['clips']['mean']:+.{decimals}f} {', '.join(parts)}: {entry['verdict']}"


def board(found: Board) -> str:
    """Table of the results under one protocol."""
    names = list(dict.fromkeys(name for row in found.rows for name in row.metrics))
    decimals = {
        n: decimals_of({r: row.metrics for r, row in enumerate(found.rows) if n in row.metrics}, n) for n in names
    }
    table = []
    for row in found.rows:
        cells = (cell_of({"failed": 0, **row.metrics[n]}, decimals[n]) if n in row.metrics else "-" for n in names)
        table.append([row.experiment, label_of(row.row), "-" if row.clips is None else str(row.clips), *cells])
    header = ["experiment", "system", "clips", *(_titled(n, found.directions) for n in names)]
    lines = [f"# {found.title}", "", *text_table(header, table, keys=3)]
    if found.several:
        lines += ["", f"Computed in several ways, so not to be compared: {', '.join(map(title_of, found.several))}."]
    return "\n".join(lines) + "\n"


def differing(sections: Sequence[Section], first: Path, second: Path) -> str:
    """Tables of how two experiments differ; sections without a difference are named in one line."""
    lines, same = [f"# {first} and {second}"], []
    for section in sections:
        if section.differences:
            rows = [_line(d.key, *(_value(value) for value in (d.before, d.now))) for d in section.differences]
            lines += ["", f"## {section.title}", "", _line("key", str(first), str(second)), _line(*["---"] * 3), *rows]
        elif section.lacking:
            lines += ["", f"## {section.title}", "", f"No record in {' and '.join(map(str, section.lacking))}."]
        else:
            same.append(section.title.lower())
    lines += ["", f"The same: {', '.join(same)}."] if same else []
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    return "-" if value is None else in_cell(str(value))


def _titled(name: str, directions: dict[str, bool]) -> str:
    """The title of a column, with the direction of better values, where it has one."""
    return title_of(name) + (f" {'↑' if directions[name] else '↓'}" if name in directions else "")


def _table(rows: dict[str, Any], directions: dict[str, bool], decimals: dict[str, int]) -> list[str]:
    """Rows of entries by metric, each with the direction of better values, where it has one."""
    names = list(next(iter(rows.values())))
    titles = [_titled(name, directions) for name in names]
    lines = [_line("system", *titles), _line(*["---"] * (1 + len(titles)))]
    return lines + [
        _line(label_of(row), *(cell_of(entries[name], decimals[name]) for name in names))
        for row, entries in rows.items()
    ]


def _lip_reading(head: str, found: dict[str, Any]) -> list[str]:
    """Error rates of the hypotheses of one head, by row, and their paired differences."""
    names = list(found["protocols"])
    lines = ["", f"## Lip reading by head {head}", "", _line("system", *(f"{n.upper()} % ↓" for n in names))]
    lines.append(_line(*["---"] * (1 + len(names))))
    for row, entries in found["rows"].items():
        lines.append(_line(label_of(row), *(cell_of({**entries[name], "failed": 0}, 1) for name in names)))
    for pair, entries in found["differences"].items():
        differences = "; ".join(f"{n.upper()} % {_difference(entries[n], 1)}" for n in names)
        lines += ["", f"{' minus '.join(map(label_of, pair.split(' - ')))}: {differences}."]
    return [*lines, "", *(f"* {protocol}" for protocol in found["protocols"].values())]


def label_of(row: str) -> str:
    """A row of the results, for people."""
    return LABELS.get(row, row.replace("_", " "))


def title_of(name: str) -> str:
    """The title of a metric's column."""
    return TITLES.get(name, name.upper().replace("_", "-"))


def decimals_of(rows: dict[Any, Any], name: str) -> int:
    """About three significant digits, and the same number of decimals in a column."""
    largest = max((abs(e[name]["mean"]) for e in rows.values() if e.get(name, {}).get("mean") is not None), default=0.0)
    return 1 if largest >= 10 else 2 if largest > 1.01 else 3


def cell_of(entry: dict[str, Any], decimals: int) -> str:
    """Mean of a metric, its interval from :data:`MIN_FILES` files on, and the number of failures, if any."""
    failed = f" ({entry['failed']} failed)" if entry["failed"] else ""
    if not entry["n"]:
        return f"-{failed}"
    mean, low, high = (f"{entry[key]:.{decimals}f}" for key in ("mean", "low", "high"))
    return f"{mean}{failed}" if entry["n"] < MIN_FILES else f"{mean} [{low}, {high}]{failed}"


def _difference(entry: dict[str, Any], decimals: int) -> str:
    """Mean difference, interval, number of files, and whether the interval excludes 0. An experiment is one seed, which
    gives no verdict on the systems."""
    if not entry["n"]:
        return "no file has both"
    mean, low, high = (f"{entry[key]:+.{decimals}f}" for key in ("mean", "low", "high"))
    if entry["n"] < MIN_FILES:
        return f"{mean}, {entry['n']} file{'s' if entry['n'] > 1 else ''}: too few for a verdict"
    clear = "clear for this seed" if entry["low"] > 0 or entry["high"] < 0 else "no clear difference"
    return f"{mean} [{low}, {high}], {entry['n']} files: {clear}"


def reasons_of(by_file: dict[str, dict[str, str]]) -> dict[tuple[str, tuple[str, ...]], list[str]]:
    """(reason, metrics that failed for it) -> ids of the files."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for id_, failures in by_file.items():
        for reason in dict.fromkeys(failures.values()):
            found.setdefault((reason, tuple(n for n, r in failures.items() if r == reason)), []).append(id_)
    return found


def listed(ids: Sequence[str]) -> str:
    """The first ids, and the number of the others."""
    more = len(ids) - MAX_NAMED
    return ", ".join(ids[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
