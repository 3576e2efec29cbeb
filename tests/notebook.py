"""Executes a notebook's code cells in one namespace, as Jupyter does, without it: python -m tests.notebook FILE."""

from __future__ import annotations

import ast
import json
import sys
import types
from pathlib import Path


def cells(path: Path, kind: str) -> list[str]:
    """The texts of a notebook's cells of one kind: ``code`` or ``markdown``."""
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def run(path: Path) -> None:
    """Execute the code cells; the value of a cell's last line is printed."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    for number, text in enumerate(cells(path, "code"), 1):
        tree = ast.parse(text)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f"{path.name}, code cell {number}", "exec"), namespace)
        if last:
            value = eval(compile(ast.Expression(last.value), f"{path.name}, code cell {number}", "eval"), namespace)
            if value is not None:
                print(value)


def without_ipython() -> None:
    """Stand in for IPython's sound player, which shows nothing here."""
    display = types.ModuleType("IPython.display")
    display.Audio = lambda samples, rate: f"{len(samples)} samples at {rate} Hz"
    sys.modules["IPython.display"] = display  # and no IPython, by whose presence matplotlib would take this for Jupyter


if __name__ == "__main__":
    without_ipython()
    run(Path(sys.argv[1]))
