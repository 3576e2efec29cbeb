"""Wait policies of OpenMP threads: training steps and synthesis on an idle machine and on one with other load.

    tools/venv/bin/python tools/benchmark_waiting.py
    tools/venv/bin/python tools/benchmark_waiting.py --spins 0 1000 10000 --neighbours 1 --rounds 3

OpenMP threads spin for a while before they sleep. On an idle machine this saves waking them; under other load they
occupy the core of another thread, possibly the one they wait for. Each setting runs in separate processes, in
alternating rounds, on batches of the mini recipe's size; ``v2skit`` is the policy that the command line sets
(:mod:`v2skit.system.process`), ``libgomp`` is OpenMP's default. The table has medians, in seconds, idle and under load,
and their ratio.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from argument_types import whole_number

from v2skit.cli.failures import status_of
from v2skit.system.process import WAITING, keep_memory, sleep_soon

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "egs/mini/conf/mel.yaml"
SUBJECTS = ("pre-training step", "fine-tuning step", "synthesis of 3 s")
WARM_UP, REPEATS = 2, 7
BUSY = "while True: pass"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spins", nargs="*", default=["0", "500", "10000", "100000"], help="GOMP_SPINCOUNT to try")
    parser.add_argument("--neighbours", type=int, default=1, help="busy threads of the other load; default: 1")
    parser.add_argument("--rounds", type=whole_number, default=3, help="processes for each setting; default: 3")
    parser.add_argument("--subject", choices=SUBJECTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.subject:
        measure(arguments.subject, arguments.neighbours)
        return
    policies = {"v2skit": "v2skit", "libgomp": "", **{f"GOMP_SPINCOUNT={spins}": spins for spins in arguments.spins}}
    found: dict[tuple[str, str], list[list[float]]] = {}
    for _ in range(arguments.rounds):
        for subject in SUBJECTS:
            for policy, spins in policies.items():
                found.setdefault((policy, subject), []).append(run(subject, spins, arguments.neighbours))
    print(f"\n{'seconds: idle, loaded, ratio':28}" + "".join(f"{subject:>26}" for subject in SUBJECTS))
    for policy in policies:
        row = f"{policy:28}"
        for subject in SUBJECTS:
            idle, loaded = (statistics.median(times) for times in zip(*found[policy, subject], strict=True))
            row += f"{idle:12.3f}{loaded:8.3f}{loaded / idle:6.2f}"
        print(row)


def run(subject: str, spins: str, neighbours: int) -> list[float]:
    """Median seconds on an idle machine and under load, measured in a separate process."""
    environment = {k: v for k, v in os.environ.items() if k not in WAITING}
    environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{environment.get('PYTHONPATH', '')}"
    environment["V2SKIT_BENCHMARK_WAITING"] = "v2skit" if spins == "v2skit" else "given"
    if spins not in ("v2skit", ""):
        environment["GOMP_SPINCOUNT"] = spins
    command = [sys.executable, __file__, "--subject", subject, "--neighbours", str(neighbours)]
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    print(".", end="", flush=True)
    return [float(word) for word in output.split()[-2:]]


def measure(subject: str, neighbours: int) -> None:
    """Print the medians; torch is imported only after the environment is set."""
    if os.environ["V2SKIT_BENCHMARK_WAITING"] == "v2skit":
        sleep_soon()
    keep_memory()
    repeat = synthesis() if subject == SUBJECTS[2] else training("a2a" if subject == SUBJECTS[0] else "v2a")
    for _ in range(WARM_UP):
        repeat()
    print(median_of(repeat))
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(neighbours)]
    try:
        time.sleep(1)
        print(median_of(repeat))
    finally:
        for process in processes:
            process.kill()


def median_of(repeat: Callable[[], None]) -> float:
    """Median seconds of a repetition."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        repeat()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def training(task: str) -> Callable[[], None]:
    """An optimiser step of the mini recipe on random numbers."""
    import torch

    from v2skit.config.load import load_config
    from v2skit.data.batch import Batch
    from v2skit.losses.total import Losses
    from v2skit.models.build import build_model
    from v2skit.signal.mel import MelSpectrogram
    from v2skit.training.optimiser import Optimiser, precision_of

    config = load_config(CONFIG)
    settings = config.pretrain if task == "a2a" else config.finetune
    model, losses = build_model(config, task, ["a"]), Losses(config)
    optimiser, spectrogram = Optimiser(model, settings, {}), MelSpectrogram(config.clock, config.mel)
    frames = settings.segment_frames
    clips = settings.batch_frames // frames
    side = config.augmentation.crop
    batch = Batch(
        ids=["a"] * clips,
        mask=torch.ones(clips, frames, dtype=torch.bool),
        speaker=torch.zeros(clips, dtype=torch.long),
        waveform=0.1 * torch.randn(clips, frames * config.clock.samples_per_frame),
        video=torch.randn(clips, frames, 1, side, side),
    )
    precision = precision_of(settings, torch.device("cpu"))

    def step() -> None:
        optimiser.start(0)
        ready = batch.with_mel(spectrogram)
        with torch.autocast("cpu", precision, enabled=precision is not None):
            output = model(ready.inputs(model.inputs))
        losses(output, ready)[0].backward()
        optimiser.finish()

    return step


def synthesis() -> Callable[[], None]:
    """Mouth crops of 3 s to a waveform, through the mini recipe's model and vocoder."""
    import torch

    from v2skit.config.load import load_config
    from v2skit.data.batch import Inputs
    from v2skit.models.build import build_model, build_vocoder, for_inference

    config = load_config(CONFIG)
    model, vocoder = for_inference(build_model(config, "v2a", ["a"])), build_vocoder(config, "mel")
    frames, side = 3 * config.clock.fps, config.augmentation.crop
    video, mask = torch.randn(1, frames, 1, side, side), torch.ones(1, frames, dtype=torch.bool)
    inputs = Inputs({"video": video}, mask, torch.zeros(1, dtype=torch.long))

    @torch.inference_mode()
    def repeat() -> None:
        vocoder(model(inputs).mel)

    return repeat


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_waiting"))
