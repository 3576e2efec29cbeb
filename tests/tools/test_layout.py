"""Sizes and imports are counted as they are."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT
from tools.layout import cyclic, imported, layers


def test_prints_a_table():
    command = [sys.executable, "tools/layout.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "in cycles               none" in done.stdout and "largest file" in done.stdout


def test_imports_of_every_form_are_found(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "d.py").touch()
    path = tmp_path / "a/file.py"
    path.write_text(
        "from v2skit.a import own\nfrom v2skit.b.inner import x\nfrom v2skit import d, load\nimport os\n"
        "def f():\n    import v2skit.c\n"
    )
    assert imported(tmp_path, path) == {"b", "c", "d", "__init__"}


def test_layers_and_cycles():
    edges = {("a", "b"), ("b", "c"), ("d", "c")}
    assert layers(edges) == [{"c"}, {"b", "d"}, {"a"}] and not cyclic(edges)
    assert cyclic(edges | {("c", "b")}) == ["b", "c"]
