"""The benchmark of the sampler, on some hours."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_prints_exactness_padding_and_balance_beside_the_baseline():
    command = [sys.executable, ROOT / "tools" / "benchmark_sampler.py", "--hours=50"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()[2:]}
    assert list(rows) == ["1", "8", "64", "lists"]
    for row in rows.values():
        assert row[2] == "yes" and float(row[3].rstrip("%")) < 5
    assert float(rows["8"][4].rstrip("%")) < 2 and float(rows["8"][7]) < float(rows["lists"][7])
