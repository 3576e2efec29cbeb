"""The benchmark of storage, on a few sounds and a clip that it makes itself."""

import os
import subprocess
import sys

from tests.conftest import ROOT


def test_prints_rates_beside_the_baselines_and_the_formats():
    command = [sys.executable, ROOT / "tools" / "benchmark_storage.py", "--clips=1", "--rounds=1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    sounds, cold, crops, formats = done.stdout.split("\n\n")
    for table, names in (
        (sounds, ["soundfile", "dataset, a file each", "dataset, packed"]),
        (cold, ["dataset, a file each", "dataset, packed"]),
        (crops, ["original video, decoded and cut", "dataset, augmented", "dataset, not augmented"]),
    ):
        rows = {line[:40].strip(): [*map(float, line[40:].split())] for line in table.splitlines()[1:]}
        assert list(rows)[:3] == names and rows[names[0]][1] == 1
        assert all(rate > 0 and ratio > 0 for rate, ratio in rows.values())
    rows = {line[:28].strip(): [*map(float, line[28:].split())] for line in formats.splitlines()[1:]}
    size, _, _, mean, _ = rows["MPEG-4 part 2, q 2 (ours)"]
    assert 0 < mean < 2 and size < rows["FFV1 lossless"][0]
    assert rows["FFV1 lossless"][3] == rows["H.264 qp 0"][3] == 0
