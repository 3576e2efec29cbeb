"""The networks of a model in torch and in onnxruntime, side by side on one core: seconds per second of speech.

    tools/venv/bin/python tools/benchmark_onnx.py                                    # the installed model
    tools/venv/bin/python tools/benchmark_onnx.py --model model.v2s --onnx model.onnx

Without ``--onnx`` the model is exported first; one whose vocoder is mel-corrected can't be, which the error says.
The input is mouth crops of noise: speed does not depend on what they show, and tracking, which is the same for
both, is left out. Loading and the first clip are measured in processes of their own, started in turn; then clips
are synthesised in turn in one process. All figures are medians of CPU time, which other processes on the core
hardly change.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from argument_types import whole_number

import v2skit
from v2skit.cli.failures import status_of
from v2skit.hub.installed import default_model
from v2skit.synthesis.exported.export import export_model
from v2skit.synthesis.synthesiser import Synthesiser

SECONDS = (3, 60)
"""Durations of the clips, s."""


def crops_of(model: Synthesiser, seconds: float) -> np.ndarray:
    """Mouth crops of noise, uint8 (T,H,W)."""
    size, frames = model.config.crop.size, round(seconds * model.fps)
    return np.random.default_rng(0).integers(0, 256, (frames, size, size), np.uint8)


def synthesise(model: Synthesiser, seconds: float) -> tuple[float, np.ndarray]:
    """CPU time in s and speech (N,) of a clip."""
    crops, voice = crops_of(model, seconds), model.voice(None)
    start = time.process_time()
    speech = model.synthesise_crops(crops, voice)
    return time.process_time() - start, speech


def starting(path: Path) -> dict[str, float]:
    """In a process of its own, CPU time in s: of loading a model, with all imports, and of its first clip."""
    model = v2skit.load(path, "cpu")
    loading = time.process_time()  # since the process started
    return {"loading": loading, f"first clip of {SECONDS[0]} s": synthesise(model, SECONDS[0])[0]}


def benchmark(paths: dict[str, Path], repeats: int) -> None:
    """Print the medians and their ratio."""
    measured: dict[str, dict[str, list[float]]] = {}

    def note(what: str, name: str, seconds: float) -> None:
        measured.setdefault(what, {}).setdefault(name, []).append(seconds)

    models = {name: v2skit.load(path, "cpu") for name, path in paths.items()}
    for _ in range(repeats):
        for name, path in paths.items():
            command = [sys.executable, __file__, "--start", str(path)]
            found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            for what, seconds in found.items():
                note(what, name, seconds)
    speech: dict[str, np.ndarray] = {}
    for seconds in SECONDS:
        for number in range(repeats + 1):
            for name, model in models.items():
                spent, speech[name] = synthesise(model, seconds)
                if number:  # the first is for warming up
                    note(f"a clip of {seconds} s", name, spent)
        deviation = np.abs(speech["onnx"] - speech["torch"]).max() / np.abs(speech["torch"]).max()
        print(f"largest deviation over {seconds} s: {deviation:.1e} of the loudest sample")
    print(f"{'':24} {'torch':>8} {'onnx':>8} {'onnx / torch':>13}   CPU seconds, medians of {repeats}")
    for what, found in measured.items():
        ours, theirs = statistics.median(found["torch"]), statistics.median(found["onnx"])
        print(f"{what:24} {ours:8.3f} {theirs:8.3f} {theirs / ours:13.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="a packed model, run or checkpoint; default: the installed one")
    parser.add_argument("--onnx", type=Path, help="its ONNX file")
    parser.add_argument("--repeats", type=whole_number, default=5)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    if args.start:
        print(json.dumps(starting(args.start)))
        return
    model = args.model or default_model()
    with tempfile.TemporaryDirectory() as folder:
        onnx = args.onnx or Path(folder) / "model.onnx"
        if args.onnx is None:
            start = time.process_time()
            export_model(model).write(onnx)
            print(f"exporting took {time.process_time() - start:.1f} s of CPU time")
        benchmark({"torch": model, "onnx": onnx}, args.repeats)


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_onnx"))
