"""The benchmark of the index, on a small one."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_prints_times_and_memory_beside_the_baseline():
    command = [sys.executable, ROOT / "tools" / "benchmark_index.py", "--utterances=20000"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("index", "kaldiio"))]
    (_, opened, first, private, of_files, read), (_, slow, _, much, *_) = rows
    assert float(opened) < float(slow) and float(first) < 0.1 and 0 < float(read) < 1000
    assert float(private) < float(much) and float(of_files) > 0
