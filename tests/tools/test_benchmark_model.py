import os
import subprocess
import sys

from tests.conftest import ROOT


def test_prints_a_ratio_for_training_and_inference():
    options = ["--clips=1", "--frames=4", "--repeats=1", "--threads=1"]
    command = [sys.executable, ROOT / "tools" / "benchmark_model.py", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith(("training step", "inference"))]
    assert len(rows) == 4
    assert all(float(number) > 0 for row in rows for number in row.split()[-3:])
