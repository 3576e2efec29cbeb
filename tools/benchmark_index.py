"""The compiled index of a large data directory: time to compile and open it, memory, the first batch of an epoch.

    tools/venv/bin/python tools/benchmark_index.py

A data directory of as many utterances as asked for is made up (tables alone). Each row is a process of its own; its
memory is what opening adds to it: private memory, which every worker has for itself, and pages of the file, which all
processes share and which the system takes back when it needs them. Files are in the system's cache. The baseline is
``kaldiio.load_scp`` of the same ``wav.scp``, and a shuffled list of its keys.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable

import numpy as np

READS = 10_000
BATCH_FRAMES = 4000


def make(directory: Path, count: int) -> None:
    """Tables of ``count`` utterances of 1 to 32 s, 1000 for each speaker."""
    lengths = np.clip(np.random.default_rng(0).gamma(4, 60, count), 25, 800).astype(int).tolist()
    names = ("wav.scp", "text", "utt2spk", "utt2num_frames")
    files = [(directory / name).open("w", encoding="utf-8") for name in names]
    for number, frames in enumerate(lengths):
        speaker = f"speaker{number // 1000:05d}"
        key = f"{speaker}-chapter{number // 100:06d}-{number:08d}"
        values = f"audio/{key}.flac", "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG", speaker, frames
        for file, value in zip(files, values, strict=True):
            file.write(f"{key} {value}\n")
    for file in files:
        file.close()


def private_and_file() -> tuple[float, float]:
    """MB of private memory, and of clean pages of files."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as file:
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in file if line.endswith("kB\n")}
    return sizes["Private_Dirty"], sizes["Private_Clean"] + sizes["Shared_Clean"]


def measured(open_it: Callable, use: Callable) -> dict[str, float]:
    """Seconds and memory of opening something and of using it."""
    before = private_and_file()
    start = time.perf_counter()
    opened = open_it()
    between = time.perf_counter()
    first = use(opened)
    end = time.perf_counter()
    private, clean = (now - then for now, then in zip(private_and_file(), before, strict=True))
    return {"open": between - start, "first": first, "use": end - between, "private": private, "file": clean}


def indexed(directory: Path) -> dict[str, float]:
    from v2skit.data.index import open_index
    from v2skit.data.sampler import ByLength, EpochBatches

    def use(index) -> float:
        start = time.perf_counter()
        EpochBatches(ByLength([index.runs]), BATCH_FRAMES, 1, 0)[0]
        first = time.perf_counter() - start
        for number in np.random.default_rng(0).integers(0, len(index), READS).tolist():
            index[number]
        return first

    EpochBatches(ByLength([open_index(directory).runs]), BATCH_FRAMES, 1, 0)[0]  # what numpy loads on first use
    return measured(lambda: open_index(directory), use)


def by_kaldiio(directory: Path) -> dict[str, float]:
    import kaldiio

    def use(table) -> float:
        start = time.perf_counter()
        ids = np.random.default_rng(0).permutation(list(table))[:10]
        first = time.perf_counter() - start
        return first if len(ids) else 0.0

    return measured(lambda: kaldiio.load_scp(str(directory / "wav.scp")), use)


SUBJECTS = {"index": indexed, "kaldiio.load_scp": by_kaldiio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=int, default=3_000_000)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--subject", choices=[*SUBJECTS, "compile"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.subject:
        return print(json.dumps(alone(args.subject, args.directory)))
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), args.utterances)

        def run(subject: str) -> dict[str, float]:
            command = [sys.executable, __file__, "--subject", subject, "--directory", folder]
            return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

        compiled = run("compile")
        tables = sum(p.stat().st_size for p in Path(folder).iterdir()) / 1e6 - compiled["size"]
        print(f"{args.utterances} utterances, tables of {tables:.0f} MB")
        print(f"compiled in {compiled['seconds']:.1f} s in at most {compiled['peak']:.0f} MB of memory, to {compiled['size']:.0f} MB\n")
        print(f"{'':20}{'open, s':>10}{'first batch, s':>16}{'private, MB':>14}{'of files, MB':>14}{'a read, us':>12}")
        for name in SUBJECTS:
            row = run(name)
            read = f"{row['use'] / READS * 1e6:12.1f}" if name == "index" else f"{'-':>12}"
            numbers = f"{row['open']:10.4f}{row['first']:16.4f}{row['private']:14.1f}{row['file']:14.1f}"
            print(f"{name:20}{numbers}{read}")


def alone(subject: str, directory: Path) -> dict[str, float]:
    """What a process of its own measures."""
    if subject != "compile":
        return SUBJECTS[subject](directory)
    import resource

    from v2skit.data.index import open_index

    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    index = open_index(directory)
    seconds = time.perf_counter() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    return {"seconds": seconds, "peak": peak, "size": index.path.stat().st_size / 1e6}


if __name__ == "__main__":
    main()
