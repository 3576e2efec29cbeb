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


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def executed(request, tmp_path) -> tuple[str, str]:
    """Name of a notebook, and what its cells print in a folder of their own."""
    for module in ("espeakng_loader", "matplotlib", "scipy", "tensorboard", "pystoi", "jinja2"):
        pytest.importorskip(module, reason=f"{module} is missing; pip install 'v2skit[train,evaluate,mini]'")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.notebook", str(request.param)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return request.param.stem, done.stdout


def test_cells_print_what_the_text_says(executed):
    name, printed = executed
    wanted = {
        "first_speech": (r"GRID", r"voices: .*s2", r" s at 24000 Hz", r"samples at 24000 Hz"),
        "your_own_decoder": (r"pretrain: loss", r"decoder\.layers\.0\.weight", r"\| copy synthesis \|"),
    }[name]
    assert all(re.search(pattern, printed) for pattern in wanted), printed


def test_the_loss_of_the_own_decoder_falls(executed):
    name, printed = executed
    if name != "your_own_decoder":
        pytest.skip("trains nothing")
    for first, last in re.findall(r": loss ([\d.]+) -> ([\d.]+)", printed):
        assert float(last) < float(first)
