import os
import subprocess
import sys

import numpy as np
import soundfile

from tests.conftest import ROOT, make_data


def test_the_variance_of_a_copy_is_that_of_the_ground_truth_and_steady_noise_has_less(tmp_path):
    utterances = make_data(tmp_path / "data", 2, video=False)
    for name in ("copy", "steady"):
        (tmp_path / name).mkdir()
    for utterance in utterances:
        waveform, rate = soundfile.read(utterance.audio)
        soundfile.write(tmp_path / "copy" / f"{utterance.id}.wav", waveform, rate, subtype="FLOAT")
        noise = 0.1 * np.random.default_rng(0).standard_normal(len(waveform))
        soundfile.write(tmp_path / "steady" / f"{utterance.id}.wav", noise, rate, subtype="FLOAT")
    command = [sys.executable, ROOT / "tools" / "mel_sharpness.py", *(tmp_path / n for n in ("data", "copy", "steady"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()]
    assert rows[0][:2] == ["speech", "global variance"]
    values = {row[0].rpartition("/")[2]: float(row[1]) for row in rows[2:]}
    assert values["ground truth"] == values["copy"] == 1.0 and values["steady"] < 0.9
