"""The benchmark of preparation, on one clip that it makes itself."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_prints_the_speed_of_each_step():
    command = [sys.executable, ROOT / "tools" / "benchmark_prepare.py", "--clips=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    speeds = {line[:38].strip(): float(line[38:]) for line in done.stdout.splitlines() if line.startswith("  ")}
    assert list(speeds) == ["the whole", "decoding", "tracking", "cropping", "writing crops", "sound"]
    assert speeds["the whole"] < min(speeds[step] for step in ("decoding", "cropping", "writing crops"))
