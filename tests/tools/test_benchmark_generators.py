import os
import subprocess
import sys

from tests.conftest import ROOT


def test_prints_the_speed_of_every_generator_in_both_roles():
    command = [sys.executable, ROOT / "tools" / "benchmark_generators.py", "--seconds=0.1", "--repeats=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    rows = [
        line for line in done.stdout.splitlines() if line.startswith(("griffin_lim", "istft", "wavegan", "hifigan"))
    ]
    assert len(rows) == 19 and sum("decoder" in row for row in rows) == 6
    assert all(float(number) > 0 for row in rows for number in row.split()[-3:])
