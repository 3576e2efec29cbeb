"""The benchmark of scoring, on two clips."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT, make_data


def test_prints_the_time_of_each_run(tmp_path):
    for package in ("pystoi", "pesq", "pocketsphinx"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    make_data(tmp_path / "data", 2, video=False)
    command = [sys.executable, ROOT / "tools" / "benchmark_scoring.py", tmp_path / "data", "--clips=2", "--seconds=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = dict(line.strip("| ").split(" | ") for line in done.stdout.splitlines()[3:])
    assert list(rows) == ["first", "again", "one clip changed"] and float(rows["again"]) < float(rows["first"])
