"""The benchmark of the command line's start, which also checks that it imports no torch."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_prints_the_times_without_and_with_plugins():
    command = [sys.executable, ROOT / "tools/benchmark_start.py", "--repeats=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [line.rsplit(maxsplit=2) for line in done.stdout.splitlines()[1:]]
    assert [row[0] for row in rows] == ["without plug-ins", "with 17 plug-ins", "each plug-in"]
    assert all(float(value) > 0 for row in rows[:2] for value in row[1:])
