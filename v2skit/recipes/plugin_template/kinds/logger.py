"""A logger of training runs."""

import csv
from pathlib import Path
from typing import Any


class MyComponent:
    """Writes a table of the losses, one row for each logged step, into the folder of the run.

    Args:
        name: of the file.
    """

    def __init__(self, name: str = "my_component.csv") -> None:
        self.name = name

    def start(self, run: Path, name: str, step: int, config: dict[str, Any]) -> None:
        """Begin, or resume after ``step`` optimiser steps: rows of later steps, which are repeated, are removed."""
        self.path, rows = run / self.name, []
        if self.path.exists():
            rows = [row for row in csv.reader(self.path.open(encoding="utf-8")) if int(row[0]) <= step]
        with self.path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)

    def log(self, step: int, kind: str, values: dict[str, float]) -> None:
        """Add the row of a step: step, ``train`` or ``valid``, and each value as NAME=VALUE."""
        with self.path.open("a", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow([step, kind, *(f"{name}={value:.6g}" for name, value in values.items())])

    def close(self, status: str) -> None:
        """The run is ``finished``, ``interrupted`` or ``failed``: every row is written already."""
