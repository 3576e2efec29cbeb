"""The benchmark of several processes, on a small model."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="two processes with a core each need two cores")
def test_prints_speeds_beside_the_baseline_and_how_far_the_losses_are_apart():
    command = [sys.executable, str(ROOT / "tools" / "benchmark_distributed.py"), "--steps=5", "--repeats=1"]
    command += ["--batch_frames=100", "--blocks=1"]
    # A test run that is pinned to one core is no reason to fail.
    cores = range(os.cpu_count())
    unpinned = f"import os; os.sched_setaffinity(0, {cores!r}); os.execv({sys.executable!r}, {command!r})"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    how = {"env": environment, "capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run([sys.executable, "-c", unpinned], **how)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line[:1] in ("1", "2")]
    assert [row[0] for row in rows] == ["1", "2"] and all(float(number) > 0 for row in rows for number in row)
    assert rows[0][-1] == "1.00"
    assert float(done.stdout.split()[-1]) < 1e-5
