"""The share of background noise in the losses of log magnitudes, on a burst of noise with a quiet background."""

import os
import subprocess
import sys

import numpy as np

from tests.conftest import ROOT
from v2skit.media.audio import write_audio


def test_a_floor_relative_to_the_clip_takes_the_noise_out_of_the_loss(tmp_path):
    random = np.random.default_rng(0)
    waveform = 1e-4 * random.normal(size=24000)
    waveform[8000:16000] *= 1000
    for name in "ab":
        write_audio(tmp_path / f"{name}.wav", waveform.astype(np.float32), 24000)
    command = [sys.executable, str(ROOT / "tools/noise_share.py"), *map(str, sorted(tmp_path.glob("*.wav")))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("2 clips; noise is 6")
    rows = {row[0]: float(row[1].rstrip("%")) for row in (line.strip("| ").split(" | ") for line in lines[4:])}
    assert rows["null"] > 30 and rows["40"] < 10 and list(rows.values()) == sorted(rows.values(), reverse=True)
