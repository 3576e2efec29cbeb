"""The layers of the package: which package may import which, and how long a file may be."""

from __future__ import annotations

import statistics

import pytest

from tests.conftest import ROOT
from tools.layout import cyclic, imported, top

LAYERS = (
    "errors, version",
    "system",
    "registry",
    "hub",
    "config",
    "signal, text",
    "media",
    "tracking",
    "corpora, data",
    "preparation, models",
    "losses, evaluation, targets",
    "publishing",
    "training, synthesis, testing",
    "recipes, web",
    "cli",
    "__init__, __main__",
)
"""From the ground up: each imports only what stands in a line before its own."""

FLOOR = {name: number for number, line in enumerate(LAYERS) for name in line.split(", ")}
PACKAGE = ROOT / "v2skit"
FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_package_has_a_floor():
    assert {top(PACKAGE, path) for path in FILES} == set(FLOOR)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_low_floors_know_nothing_of_high_ones(path):
    assert all(FLOOR[name] < FLOOR[top(PACKAGE, path)] for name in imported(PACKAGE, path))


def test_an_import_in_a_cycle_is_found():
    edges = {("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("e", "a")}
    assert cyclic(edges) == ["a", "b", "c"]
    assert not cyclic({(top(PACKAGE, path), name) for path in FILES for name in imported(PACKAGE, path)})


def test_tests_mirror_the_package():
    folders = {path.relative_to(PACKAGE).parent for path in FILES}
    for path in (ROOT / "tests").rglob("test_*.py"):
        folder = path.relative_to(ROOT / "tests").parent
        assert folder in folders or folder.parts[0] in ("cases", "plugins", "tools"), path


def test_files_are_short():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert statistics.median(lines.values()) <= 120
    assert not {path: count for path, count in lines.items() if count > 350}
