"""The Markdown of results as blocks that a template shows: headings, tables and paragraphs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def blocks(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Lines of Markdown as blocks, each ``{"heading": text}``, ``{"table": rows of cells}`` or ``{"text": text}``; the
    first row of a table is its header."""
    found: list[dict[str, Any]] = []
    rows: list[list[str]] | None = None
    for line in lines:
        if not line.startswith("|"):
            rows = None
        if line.startswith("#"):
            found.append({"heading": line.lstrip("# ")})
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if rows is None:
                rows = []
                found.append({"table": rows})
            if any(cell != "---" for cell in cells):
                rows.append(cells)
        elif line:
            found.append({"text": line.removeprefix("* ")})
    return found
