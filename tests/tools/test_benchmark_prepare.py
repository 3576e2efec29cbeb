"""The benchmark of preparation, on one clip that it makes itself."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_prints_speeds_sizes_and_errors():
    command = [sys.executable, ROOT / "tools" / "benchmark_prepare.py", "--clips=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = {line[:24].strip(): line[24:].split() for line in done.stdout.splitlines()}
    size, _, _, mean_error, _ = map(float, rows["H.264 qp 16 (ours)"])
    assert 0 < mean_error < 1 and size < float(rows["FFV1 lossless"][0])
    assert float(rows["FFV1 lossless"][3]) == float(rows["H.264 qp 0"][3]) == 0
    assert "the whole" in done.stdout and "stored crops, random 50 frames" in done.stdout
