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
    names = ("index", "dataset", "kaldiio.load_scp")
    rows = {
        line.split()[0]: [*map(float, line.split()[1:])] for line in done.stdout.splitlines() if line.startswith(names)
    }
    assert tuple(rows) == names
    for opened, first, process, _, process_then, _, each in (rows["index"], rows["dataset"]):
        assert opened >= 0 and first > 0 and each > 0
        assert process <= process_then < rows["kaldiio.load_scp"][2]
