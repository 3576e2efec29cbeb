"""Breakdowns as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from v2skit.errors import UserError
from v2skit.evaluation.breakdown import ALL
from v2skit.evaluation.sound_errors import SILENCE
from v2skit.evaluation.visemes import VISEMES

MAX_TALKERS = 40
"""With more talkers, their table is left out of a report."""
WORST = 5
"""Phonemes with the largest errors that are listed."""
Name = Callable[[str], str]


def sections(found: dict[str, Any], label: Name, title: Name, max_talkers: int = MAX_TALKERS) -> list[str]:
    """The lines of the sections by talker, by word of the sentence and by sound.

    Args:
        found: as :func:`v2skit.evaluation.breakdown.break_down` returns it.
        label: name of a results row -> its label.
        title: name of a metric -> the title of its column.
        max_talkers: most talkers that are listed.
    """
    lines = [*_talkers(found["talkers"], label, title, max_talkers)]
    if "slots" in found:
        errors = found["slots"]["errors"]
        header = ["system", *range(1, len(next(iter(errors.values()))) + 1)]
        lines += ["", "## By word of the sentence", "", "Words that were substituted or deleted, %.", ""]
        lines += table(header, ([label(row), *(f"{share:.0f}" for share in shares)] for row, shares in errors.items()))
    return lines + (_sounds(found["sounds"], label) if "sounds" in found else [])


def confusions(found: dict[str, Any], slot: int, label: Name) -> list[str]:
    """The lines of a table of the confusions of a word of the sentence.

    Args:
        found: as for :func:`sections`.
        slot: number of the word, from 1.
        label: as for :func:`sections`.

    Raises:
        UserError: there is no such slot.
    """
    by_row = found["slots"]["confusions"] if "slots" in found else {}
    slots = max(map(len, by_row.values()), default=0)
    if not slots:
        raise UserError("--confusions needs recognised sentences that all have the same number of words")
    if not 1 <= slot <= slots:
        raise UserError(f"--confusions {slot}: give a number from 1 to {slots}")
    rows = (
        [label(row), word, heard or "(deleted)", f"{count} of {occurrences}"]
        for row, by_slot in by_row.items()
        for word, heard, count, occurrences in by_slot[slot - 1]
    )
    return ["", f"## Confusions of word {slot}", "", *table(["system", "reference", "recognised", "clips"], rows)]


def by_time(found: dict[str, Any], label: Name) -> list[str]:
    """The lines of the section with the errors by time.

    Args:
        found: as :func:`v2skit.evaluation.sound_errors.sound_errors` returns it.
        label: as for :func:`sections`.
    """
    rows, numbers = found["rows"], found["n"]
    body = (
        [name, " ".join(VISEMES.get(name, ())), numbers[name], *(f"{rows[r]['visemes'][name]:.2f}" for r in rows)]
        for name in (*VISEMES, ALL, SILENCE)
        if name in numbers
    )
    lines = ["", "## By sound, over time", "", "Difference of log mels while each sound is said, dB.", ""]
    lines += [*table(["class", "sounds", "n", *map(label, rows)], body), ""]
    for row, its in rows.items():
        worst = sorted(its["phonemes"].items(), key=lambda item: -item[1])[:WORST]
        lines.append(f"* {label(row)}, largest: {', '.join(f'{name} {value:.2f}' for name, value in worst)}")
    reasons = Counter(found["failures"].values())
    lines += [f"* left out: {count} clips, {reason}" for reason, count in reasons.items()]
    return [*lines, f"* how: {found['protocol']}"]


def table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """The lines of a Markdown table."""
    titles = [str(cell) for cell in header]
    lines = [titles, ["---"] * len(titles), *([str(cell) for cell in cells] for cells in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]


def _talkers(talkers: dict[str, Any], label: Name, title: Name, most: int) -> list[str]:
    names = {talker for by_talker in talkers.values() for talker in by_talker} - {ALL}
    if len(names) < 2:
        return []
    heading = ["", "## By talker", ""]
    if len(names) > most:
        return [*heading, f"{len(names)} talkers: `v2skit breakdown` lists them, and results.json has them."]
    metrics = list(dict.fromkeys(m for by_talker in talkers.values() for e in by_talker.values() for m in e))
    rows = (
        [label(row), talker, *(_number(means.get(metric)) for metric in metrics)]
        for row, by_talker in talkers.items()
        for talker, means in by_talker.items()
    )
    return [*heading, *table(["system", "talker", *("n" if m == "n" else title(m) for m in metrics)], rows)]


def _sounds(found: dict[str, Any], label: Name) -> list[str]:
    lines = ["", "## By sound", "", "Sounds of a class look alike on the lips. In % of the sounds: recognised right / "]
    lines[-1] += "recognised as a sound of the same class, which is what lips show."
    rows = found["rows"]
    names = list(dict.fromkeys(name for row in rows.values() for name in row["visemes"]))
    first = next(iter(rows.values()))["visemes"]
    body = (
        [name, " ".join(VISEMES.get(name, ())), first.get(name, {"n": 0})["n"], *(_right(rows[r], name) for r in rows)]
        for name in names
    )
    lines += ["", *table(["class", "sounds", "n", *map(label, rows)], body), ""]
    for row, its in rows.items():
        if its["confusions"]:
            confused = (
                f"{sound} as {heard} {count}{' (alike)' if alike else ''}"
                for sound, heard, count, alike in its["confusions"]
            )
            lines.append(f"* {label(row)}, most frequent confusions: {', '.join(confused)}")
    lacking = found["unknown_words"]
    without = f" Words without a pronunciation, left out: {lacking:.1f} %." if lacking else ""
    return [*lines, f"* how: {found['protocol']}.{without}"]


def _right(row: dict[str, Any], name: str) -> str:
    shares = row["visemes"].get(name)
    return f"{shares['phonemes']:.0f} / {shares['visemes']:.0f}" if shares else "-"


def _number(value: float | None) -> str:
    """Three significant digits."""
    if value is None or isinstance(value, int):
        return "-" if value is None else str(value)
    return f"{value:#.3g}".removesuffix(".")
