"""Speed-up by a second process: steps per second of pre-training, and the difference of the losses.

    tools/venv/bin/python tools/benchmark_distributed.py

Runs of one process on one core (each of two cores in turn) and of two processes on one core each alternate, with the
same model (of the size of egs/mini), the same generated audio and the same batches in each step. A run's time is the
median over its steps without the first few; the table has the medians over the runs. Other load on these cores shows
in the spread: then use more runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import yaml
from argument_types import whole_number

from v2skit.cli.failures import status_of
from v2skit.config.features import Clock, Crop
from v2skit.data.data_dir import Utterance, write_manifest
from v2skit.media.audio import write_audio

ROOT = Path(__file__).parents[1]
CLOCK = Clock()
WARM_UP = 3
"""First steps of a run, which are not counted."""


def make_sounds(directory: Path, count: int, seed: int) -> None:
    """Write a data directory of ``count`` tones of 50 to 75 video frames."""
    random, utterances = np.random.default_rng(seed), []
    for number in range(count):
        frames, name = int(random.integers(50, 76)), f"s-{seed}{number:03d}"
        time = np.arange(frames * CLOCK.samples_per_frame) / CLOCK.sample_rate
        sound = 0.3 * np.sin(2 * np.pi * random.uniform(100, 300) * time) + 0.01 * random.standard_normal(len(time))
        write_audio(directory / "audio" / f"{name}.flac", sound.astype(np.float32), CLOCK.sample_rate)
        utterances.append(Utterance(name, "s", frames, directory / "audio" / f"{name}.flac", None, None))
    write_manifest(directory, utterances, {"clock": dataclasses.asdict(CLOCK), "crop": dataclasses.asdict(Crop())})


def write_config(folder: Path, options: argparse.Namespace) -> Path:
    """The config of the runs."""
    training = {
        "steps": options.steps, "batch_frames": options.batch_frames, "accumulate": 2, "segment_frames": 50,
        "workers": 0, "precision": "float32", "log_every": 1,
        "validate_every": options.steps, "checkpoint_every": 10**9,
    }  # fmt: skip
    config = {
        "base": str(ROOT / "egs/mini/conf/mel.yaml"),
        "networks": {"encoder": {"blocks": options.blocks}},
        "vocoder": {"type": "griffin_lim", "iterations": 1, "fit_iterations": 1},
        "pretrain": training,
    }
    path = folder / "benchmark.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def train(config: Path, folder: Path, processes: int, cores: list[int]) -> tuple[list[float], list[float]]:
    """Run pre-training on the cores.

    Returns:
        seconds and loss of each step.
    """
    exp = folder / f"{processes}"
    command = [sys.executable, "-m", "v2skit", "stage", "pretrain", "--config", str(config), "--work_dir", str(folder)]
    command += ["--exp", str(exp), "--device", "cpu", "--force", "--nproc", str(processes)]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # what is started inherits it
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    finally:
        os.sched_setaffinity(0, before)
    if done.returncode:
        sys.exit(done.stderr)
    rows = [json.loads(line) for line in (exp / "pretrain/log.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row["kind"] == "train"]
    return [row["seconds_per_step"] for row in rows], [row["total"] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=whole_number, default=23, help="of a run; default: 23")
    parser.add_argument("--repeats", type=whole_number, default=6, help="runs of each kind; default: 6")
    parser.add_argument("--batch_frames", type=whole_number, default=800, help="of each batch of a step; default: 800")
    parser.add_argument("--blocks", type=whole_number, default=4, help="of the encoder; default: 4")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        sys.exit("two cores are needed, and this process may use one")
    if options.steps <= WARM_UP:
        sys.exit(f"--steps must be above {WARM_UP}")
    times, losses = {1: [], 2: []}, {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for seed, name in enumerate(("audio", "train", "valid")):
            make_sounds(folder / "data" / name, 64 if name == "audio" else 4, seed)
        config = write_config(folder, options)
        for number in range(options.repeats):
            for processes, medians in times.items():
                mine = cores if processes == 2 else [cores[number % 2]]
                seconds, losses[processes] = train(config, folder, processes, mine)
                medians.append(statistics.median(seconds[WARM_UP:]))
                on = f"cores {', '.join(map(str, mine))}"
                print(f"run {number + 1}, {processes} processes, {on}: {medians[-1]:.3f} s a step", flush=True)
    single = statistics.median(times[1])
    print(f"\n{'processes':<10}{'steps/s':>9}{'slowest':>9}{'fastest':>9}{'ratio':>7}")
    for processes, found in times.items():
        middle = statistics.median(found)
        speeds = f"{1 / middle:>9.3f}{1 / max(found):>9.3f}{1 / min(found):>9.3f}"
        print(f"{processes:<10}{speeds}{single / middle:>7.2f}")
    apart = max(abs(a - b) for a, b in zip(losses[1], losses[2], strict=True))
    print(f"\nlargest difference of the losses of {options.steps} steps: {apart:.1e}")


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_distributed"))
