"""The layers of the package: which package may import which, and how long a file may be."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import pytest

from tests.conftest import ROOT

LAYERS = (
    "errors, version",
    "system",
    "registry",
    "config",
    "signal",
    "media",
    "tracking",
    "corpora, data",
    "preparation, models",
    "losses, evaluation, testing",
    "training, synthesis",
    "recipes, web",
    "cli",
    "__init__, __main__",
)
"""From the ground up: each imports only what stands in a line before its own."""

FLOOR = {name: number for number, line in enumerate(LAYERS) for name in line.split(", ")}
FILES = sorted((ROOT / "v2skit").rglob("*.py"))


def top(path: Path) -> str:
    """The top-level package or module that a file belongs to."""
    return path.relative_to(ROOT / "v2skit").parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    """The top-level packages and modules of v2skit that a file imports, at its top or when it is used."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "v2skit":
            parts = (node.module or "").split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {[*alias.name.split("."), "__init__"][1] for alias in node.names
                      if alias.name.split(".")[0] == "v2skit"}  # fmt: skip
    return found


def test_every_package_has_a_floor():
    assert {top(path) for path in FILES} == set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_low_floors_know_nothing_of_high_ones(path):
    ours = top(path)
    public = {"load", "tracker", "hookimpl"}  # of the package itself, for those who only use it
    others = {name for name in imported(path) if name != ours and name not in public}
    if ours == "__init__":
        return
    assert all(FLOOR[name] < FLOOR[ours] for name in others), others


def test_tests_mirror_the_package():
    folders = {path.relative_to(ROOT / "v2skit").parent for path in FILES}
    for path in (ROOT / "tests").rglob("test_*.py"):
        folder = path.relative_to(ROOT / "tests").parent
        assert folder in folders or folder.parts[0] in ("cases", "plugins", "tools"), path


def test_files_are_short():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert statistics.median(lines.values()) <= 120
    assert not {path: count for path, count in lines.items() if count > 350}
