"""The notebooks of the documentation run from top to bottom, and are stored without outputs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.notebook import cells

NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
BY_NAME = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


@BY_NAME
def test_stored_without_outputs_in_small_cells(notebook):
    stored = json.loads(notebook.read_text(encoding="utf-8"))
    assert stored["nbformat"] == 4 and len({cell["id"] for cell in stored["cells"]}) == len(stored["cells"])
    for cell in stored["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
            assert len(cell["source"]) <= 35


@BY_NAME
def test_links_exist(notebook):
    for text in cells(notebook, "markdown"):
        for link in re.findall(r"\]\(([^):#]+)\)", text):
            assert (notebook.parent / link).is_file(), link


WANTED = {
    "first_speech": (r"GRID grammar", r"voices: .*s2", r" s at 24000 Hz", r"samples at 24000 Hz"),
    "your_own_decoder": (r"pretrain: loss", r"finetune: loss", r"decoder\.layers\.0\.weight", r"\| copy synthesis \|"),
}
"""Name of a notebook -> what its cells print."""


@BY_NAME
def test_it_runs(notebook, tmp_path):
    """All cells, in a process of their own; where they train, the loss falls."""
    for module in ("espeakng_loader", "matplotlib", "scipy", "tensorboard", "pystoi", "jinja2"):
        pytest.importorskip(module, reason=f"{module} is missing; pip install 'v2skit[train,evaluate,mini]'")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.notebook", str(notebook)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert all(re.search(pattern, done.stdout) for pattern in WANTED[notebook.stem]), done.stdout
    for first, last in re.findall(r": loss ([\d.]+) -> ([\d.]+)", done.stdout):
        assert float(last) < float(first)
