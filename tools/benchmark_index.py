"""The compiled index of a large data directory: time to compile and open it, memory, the first batch of an epoch.

    tools/venv/bin/python tools/benchmark_index.py

The tables of the utterances are generated; all their locations are a few existing entries of archives. Each row is
measured in a separate process, with the files in the page cache. ``index`` opens the index and draws a batch of a
shuffled epoch, ``dataset`` does so through the dataset and loads the clips. Private memory (Private_Clean and
Private_Dirty) is the difference from a process with an index of a single utterance, after the first batch and after
10,000 more utterances. Pages of the index count as private while no other process uses them; the system reclaims them
when it needs memory, so they have their own column. The baseline is ``kaldiio.load_scp`` of the same
``wav.scp``, and a shuffled list of its keys; without kaldiio (``pip install 'v2skit[kaldi]'``) there is none.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from argument_types import whole_number

from v2skit.cli.failures import status_of

READS = 10_000
BATCH_FRAMES, SEGMENT_FRAMES = 4000, 50


def make(directory: Path, count: int) -> None:
    """Write the tables of ``count`` utterances of 1 to 32 s, 1000 of each speaker."""
    from v2skit.config.features import Clock
    from v2skit.media.ark import ArkWriter

    random, locations = np.random.default_rng(0), []
    for number in range(8):
        ark = ArkWriter(directory / "audio" / f"{number}.ark")
        sound = random.normal(0, 0.05, 4 * Clock().sample_rate)
        locations += [ark.add_audio(f"{entry:08d}", sound, Clock().sample_rate).location for entry in range(8)]
        ark.close()
    lengths = np.clip(random.gamma(4, 60, count), 25, 800).astype(int).tolist()
    names = ("wav.scp", "text", "utt2spk", "utt2num_frames")
    files = [(directory / name).open("w", encoding="utf-8") for name in names]
    for number, frames in enumerate(lengths):
        speaker = f"speaker{number // 1000:05d}"
        key = f"{speaker}-chapter{number // 100:06d}-{number:08d}"
        values = locations[number % 64], "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG", speaker, frames
        for file, value in zip(files, values, strict=True):
            file.write(f"{key} {value}\n")
    for file in files:
        file.close()


def memory() -> tuple[float, float]:
    """Private memory, MB: dirty pages, and clean pages of files that no other process uses."""
    with Path("/proc/self/smaps_rollup").open(encoding="ascii") as file:
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1000 for line in file if line.endswith("kB\n")}
    return sizes["Private_Dirty"], sizes["Private_Clean"]


def by_index(directory: Path) -> dict[str, float]:
    from v2skit.data.by_length import ByLength
    from v2skit.data.index import open_index
    from v2skit.data.sampler import EpochBatches

    start = time.perf_counter()
    index = open_index(directory)
    opened = time.perf_counter()
    for number in EpochBatches(ByLength([index.runs]), BATCH_FRAMES, 1, 0)[0]:
        index[number]
    return {"open": opened - start, "first": time.perf_counter() - opened, **after(index)}


def by_dataset(directory: Path) -> dict[str, float]:
    from v2skit.config.features import Clock
    from v2skit.config.schema import Augmentation
    from v2skit.data.dataset import SpeechDataset, collate
    from v2skit.data.sampler import BatchSampler
    from v2skit.models.speakers.none import NoSpeaker

    readers, options = [NoSpeaker().reader(directory)], {"training": True, "segment_frames": SEGMENT_FRAMES}
    start = time.perf_counter()
    data = SpeechDataset([directory], readers, Clock(), False, Augmentation(), **options)
    opened = time.perf_counter()
    keys = next(iter(BatchSampler(data.by_length, BATCH_FRAMES, 1)))
    collate([data[key] for key in keys])
    return {"open": opened - start, "first": time.perf_counter() - opened, **after(data.utterances)}


def by_kaldiio(directory: Path) -> dict[str, float]:
    import kaldiio

    start = time.perf_counter()
    table = kaldiio.load_scp(str(directory / "wav.scp"))
    opened = time.perf_counter()
    keys = np.random.default_rng(0).permutation(list(table))[:SEGMENT_FRAMES].tolist()
    return {"open": opened - start, "first": time.perf_counter() - opened, **after([]), "keys": len(keys)}


def after(utterances) -> dict[str, float]:
    """Private memory now and after reading random utterances, and the seconds that each of them took."""
    own, clean = memory()
    start = time.perf_counter()
    for number in np.random.default_rng(0).integers(0, len(utterances), READS).tolist() if len(utterances) else ():
        utterances[number]
    seconds = time.perf_counter() - start
    own_then, clean_then = memory()
    return {"own": own, "clean": clean, "own then": own_then, "clean then": clean_then, "read": seconds / READS}


def compiling(directory: Path) -> dict[str, float]:
    from v2skit.data.index import open_index

    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    index = open_index(directory)
    seconds = time.perf_counter() - start
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000
    return {"seconds": seconds, "peak": peak, "size": index.path.stat().st_size / 1e6}


BASELINE = "kaldiio.load_scp"
SUBJECTS = {"index": by_index, "dataset": by_dataset, BASELINE: by_kaldiio}


def in_process(subject: str, directory: Path) -> dict[str, float]:
    """The measurements of a separate process."""
    command = [sys.executable, __file__, "--subject", subject, "--directory", str(directory)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--utterances", type=whole_number, default=3_000_000)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--subject", choices=[*SUBJECTS, "compiling"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.subject:
        return print(json.dumps({**SUBJECTS, "compiling": compiling}[args.subject](args.directory)))
    with tempfile.TemporaryDirectory() as folder:
        large, single = Path(folder) / "large", Path(folder) / "single"
        make(large, args.utterances)
        make(single, 1)
        tables = sum(path.stat().st_size for path in large.iterdir() if path.is_file()) / 1e6
        made = in_process("compiling", large)
        in_process("compiling", single)
        print(f"{args.utterances} utterances, tables of {tables:.0f} MB")
        print(f"compiled in {made['seconds']:.1f} s, {made['peak']:.0f} MB of memory, to {made['size']:.0f} MB\n")
        print(f"{'':35}{'private memory, MB':>28}{'and after 10,000 utterances':>31}")
        heads = ("open, s", "first batch, s"), ("process", "of the index"), ("process", "of the index", "us each")
        print(f"{'':20}" + "".join(f"{head:>15}" for part in heads for head in part))
        for name in SUBJECTS:
            if name == BASELINE and importlib.util.find_spec("kaldiio") is None:
                print(f"{name}: kaldiio is not installed; pip install 'v2skit[kaldi]'")
                continue
            row, empty = in_process(name, large), in_process(name, single)
            sizes = [row[size] - empty[size] for size in ("own", "clean", "own then", "clean then")]
            numbers = "".join(f"{size:15.1f}" for size in sizes)
            print(f"{name:20}{row['open']:15.4f}{row['first']:15.4f}{numbers}{row['read'] * 1e6:15.1f}")


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_index"))
