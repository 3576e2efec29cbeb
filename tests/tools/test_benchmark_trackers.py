"""The benchmark of trackers, on trackers whose difference is known."""

import os
import subprocess
import sys

from tests.conftest import ROOT
from tests.media_files import every, make_video


def benchmark(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "tools/benchmark_trackers.py"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_prints_how_far_the_crops_are_apart(tmp_path):
    for number in range(5):
        make_video(tmp_path / f"talker{number % 2}/{number}.mp4", every(25, 0.4), (64, 48))
    done = benchmark(
        f"--videos={tmp_path}", "--clips=2",
        "--tracker={type: fixed, x: 34, y: 24, side: 22}", "--reference={type: fixed, x: 32, y: 24, side: 20}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "4 clips, 40 frames"
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    assert len(rows) == 3 and rows[0][1] == rows[1][1] == "100.0%" and rows[0][4] == "0.00, 0.00"
    assert rows[2][1:] == [
        "2.00, 2.00", "10.00, 10.00", "10.00, 10.00", "0.00, 0.00",
        "+0.1500 ± 0.0000", "+0.0000 ± 0.0000", "+9.53 ± 0.00", "+0.0000 ± 0.0000",
    ]  # fmt: skip


def test_a_folder_without_videos_is_an_error(tmp_path):
    done = benchmark(f"--videos={tmp_path}", "--tracker=none", "--reference=none")
    assert done.returncode == 2 and f"no .mpg .mp4 .avi .mov .mkv under {tmp_path}" in done.stderr
