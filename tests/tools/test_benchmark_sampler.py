"""The benchmark of the sampler, on some hours."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_prints_exactness_padding_and_balance_beside_the_baseline():
    command = [sys.executable, ROOT / "tools" / "benchmark_sampler.py", "--hours=50"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith(("1 ", "8 ", "64 ", "lists"))]
    assert [row[0] for row in rows] == ["1", "8", "64", "lists"] * 2
    for row in rows:
        batches, once, padding, *_ = row[1 if row[0] == "lists" else 2 :]
        assert int(batches) > 100 and once == "yes" and float(padding.rstrip("%")) < 5
    assert float(rows[1][5].rstrip("%")) < 2  # of so few hours, for more processes a batch is much
