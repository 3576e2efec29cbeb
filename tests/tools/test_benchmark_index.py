"""The benchmark of the index, on a small one."""

import os
import subprocess
import sys
import textwrap

import pytest

from tests.conftest import ROOT


def test_prints_times_and_memory_beside_the_baseline():
    pytest.importorskip("kaldiio", reason="kaldiio, the baseline, is not installed")
    command = [sys.executable, ROOT / "tools" / "benchmark_index.py", "--utterances=100000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    names = ("index", "dataset", "kaldiio.load_scp")
    rows = {
        line.split()[0]: [*map(float, line.split()[1:])] for line in done.stdout.splitlines() if line.startswith(names)
    }
    assert tuple(rows) == names
    for opened, first, process, _, process_then, _, each in (rows["index"], rows["dataset"]):
        assert opened >= 0 and first > 0 and each > 0
        assert process <= process_then < rows["kaldiio.load_scp"][2]


def test_does_without_the_baseline(tmp_path):
    """The process that measures finds no kaldiio."""
    hidden = """
        import importlib.util as util
        find = util.find_spec
        util.find_spec = lambda name, *rest: None if name == "kaldiio" else find(name, *rest)
    """
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(hidden))
    command = [sys.executable, ROOT / "tools" / "benchmark_index.py", "--utterances=2000"]
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "kaldiio.load_scp: kaldiio is not installed; pip install 'v2skit[kaldi]'"
