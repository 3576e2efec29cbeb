"""All results below some folders, grouped by the protocol that they were scored under."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from v2skit.errors import UserError
from v2skit.evaluation.protocol import digest_of
from v2skit.evaluation.systems import RESULTS, read_results, read_system


class Row(NamedTuple):
    """A row of some results.

    Args:
        experiment: its folder.
        row: its name.
        clips: their number; None where the results do not say it.
        metrics: name -> its entry in the results.
    """

    experiment: str
    row: str
    clips: int | None
    metrics: dict[str, dict[str, Any]]


class Board(NamedTuple):
    """The rows that were scored under one protocol, or without one under the same conditions.

    Args:
        title: of the protocol or the conditions.
        rows: in the order of the folders.
        directions: metric -> whether higher values are better.
        several: metrics that were not computed in the same way in all rows.
    """

    title: str
    rows: list[Row]
    directions: dict[str, bool]
    several: list[str]


def find_results(folders: Iterable[Path]) -> list[Path]:
    """The results of the experiments that are, or are in, some folders. Raises UserError where there are none."""
    folders = list(folders)
    found = [path for folder in folders for path in sorted({*folder.glob(RESULTS), *folder.glob(f"*/{RESULTS}")})]
    if not found:
        names = ", ".join(map(str, folders)) or "egs/*/exp"
        raise UserError(f"{names}: no results there; name folders of experiments after stage 6, such as egs/*/exp")
    return list(dict.fromkeys(found))


def boards(paths: Iterable[Path]) -> tuple[list[Board], list[UserError]]:
    """The results of several files, by protocol; those with a protocol come first.

    Returns:
        the boards, and an error for each file that can't be read.
    """
    groups: dict[tuple[bool, str], list[tuple[Path, dict[str, Any]]]] = {}
    errors = []
    for path in paths:
        try:
            results = read_results(path.parent)
        except UserError as error:
            errors.append(error)
        else:
            groups.setdefault(_title(path, results), []).append((path.parent, results))
    return [_board(title, groups[without, title]) for without, title in sorted(groups)], errors


def _title(path: Path, results: dict[str, Any]) -> tuple[bool, str]:
    """(without a protocol, title) of a group of results."""
    if protocol := results.get("protocol"):
        return False, f"Protocol {protocol['name']}, fingerprint {protocol['fingerprint']}"
    conditions = results.get("conditions")
    if conditions is None:
        with suppress(UserError):  # scores of clips that are missing or damaged do not matter here
            split = read_system(str(path)).conditions["split"]
            return True, f"No protocol, test set {split['clips']} of {split['count']} clips, conditions not recorded"
        return True, "No protocol, conditions not recorded"
    split, digest = conditions["split"], digest_of([json.dumps(conditions, sort_keys=True)])
    return True, f"No protocol, test set {split['clips']} of {split['count']} clips, conditions {digest}"


def _board(title: str, found: list[tuple[Path, dict[str, Any]]]) -> Board:
    rows: list[Row] = []
    directions: dict[str, bool] = {}
    ways: dict[str, set[str]] = {}
    for experiment, results in found:
        directions |= results.get("higher_is_better", {})
        for name, text in results.get("protocols", {}).items():
            ways.setdefault(name, set()).add(text)
        for row, metrics in results["rows"].items():
            rows.append(Row(str(experiment), row, results.get("files", {}).get(row), metrics))
    return Board(title, rows, directions, [name for name, texts in ways.items() if len(texts) > 1])
