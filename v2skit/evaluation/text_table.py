"""Tables whose columns line up in a terminal; Markdown reads them as well."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 132
"""Characters of a line, which a table exceeds only where one column does."""


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], keys: int = 1) -> list[str]:
    """The lines of a table. Columns beyond the width are in further tables below it, each with the key columns.

    Args:
        header: title of each column.
        rows: one cell for each title.
        keys: number of columns, at the start, that say what a row is.
    """
    widths = [max(3, *map(len, column)) for column in zip(header, *rows, strict=True)]
    start = sum(widths[:keys]) + 3 * keys + 1
    blocks: list[list[int]] = [[]]
    for column in range(keys, len(header)):
        if blocks[-1] and start + sum(widths[n] + 3 for n in [*blocks[-1], column]) > WIDTH:
            blocks.append([])
        blocks[-1].append(column)
    lines = []
    for block in blocks:
        columns = [*range(keys), *block]
        cells = [[row[n].ljust(widths[n]) for n in columns] for row in (header, ["-" * n for n in widths], *rows)]
        lines += ["", *(f"| {' | '.join(row)} |" for row in cells)]
    return lines[1:]


def in_cell(text: str) -> str:
    """Text as the content of a cell of a Markdown table: on one line, and its bars separate no columns."""
    return text.replace("|", "\\|").replace("\n", " ")
