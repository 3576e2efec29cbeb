import os
import re
import subprocess
import sys

from tests.conftest import ROOT


def benchmark(*options: str) -> str:
    command = [sys.executable, ROOT / "tools" / "benchmark_synth.py", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_prints_factors_and_shares_that_add_up():
    printed = benchmark("--seconds=1", "--repeats=1")
    assert len(re.findall(r"real-time factor [\d.]+, CPU time [\d.]+", printed)) == 2
    lines = [line for line in printed.splitlines() if line.startswith("    ")]
    assert all(95 <= sum(map(int, re.findall(r"(\d+)%", line))) <= 105 for line in lines) and len(lines) == 2


def test_prints_the_latencies_of_a_live_run():
    printed = benchmark("--live", "--seconds=1")
    assert printed.count("algorithmic latency") == 3 and "dropped frames" in printed
