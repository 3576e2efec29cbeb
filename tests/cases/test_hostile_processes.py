"""Processes that write into one folder at once, or are killed there: each file is whole, and none is left over."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from tests.cases.test_hostile_outputs import command
from tests.media_files import make_video
from v2skit.system.temporary import remove_abandoned

FRAMES, SAMPLES = 20, 960


@pytest.fixture
def videos(tmp_path) -> Path:
    for name in "abcdef":
        make_video(tmp_path / f"videos/{name}.mp4", [n / 25 for n in range(FRAMES)], (96, 96))
    return tmp_path / "videos"


def started(videos: Path, run: Path, *options: str) -> subprocess.Popen:
    words = [sys.executable, "-m", "v2skit.cli.main", "synth", videos, "--model", run, "--device", "cpu", *options]
    return subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def check_whole(out: Path, count: int) -> None:
    sounds = sorted(out.glob("*.wav"))
    assert len(sounds) == count
    assert {soundfile.info(path).frames for path in sounds} == {FRAMES * SAMPLES}


@pytest.mark.parametrize("options", [("--mux",), ("--force", "--mux")], ids=["resuming", "force"])
def test_two_processes_on_one_folder(run, videos, options):
    processes = [started(videos, run, *options) for _ in range(2)]
    for process in processes:
        printed, _ = process.communicate(timeout=120)
        assert process.returncode == 0 and "Traceback" not in printed, printed
    out = videos / "speech"
    check_whole(out, 6)
    assert sorted(path.name for path in out.iterdir()) == sorted(
        [f"{name}{end}" for name in "abcdef" for end in (".mp4", ".wav")]
    )


@pytest.mark.parametrize("finished", [0, 3])
def test_a_killed_process_leaves_what_the_next_one_removes(run, videos, finished):
    out = videos / "speech"
    process = started(videos, run)
    try:
        end = time.monotonic() + 60
        while not (out.is_dir() and len(list(out.iterdir())) > finished) and time.monotonic() < end:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    finally:
        process.kill()
        process.stdout.close()
    assert list(out.iterdir())
    assert command("synth", videos, "--model", run) == 0
    remove_abandoned(out)  # as the first write of a new process does; this one may have written there before
    check_whole(out, 6)
    assert len(list(out.iterdir())) == 6
