"""One epoch of the sampler on a simulated year of speech, by 1, 8 and 64 processes.

    tools/venv/bin/python tools/benchmark_sampler.py

For each number of processes, all batches of an epoch are drawn, of whole utterances and of segments. The tables show
whether each utterance is drawn exactly once, the share of padding, the imbalance of the processes in frames, and time
and memory. The baseline is the usual method, lists of all batches: sort by length with noise, cut, shuffle.
"""

from __future__ import annotations

import argparse
import sys
import time
import tracemalloc
from functools import partial

import numpy as np
from argument_types import positive_number, whole_number

from v2skit.cli.failures import status_of
from v2skit.config.features import Clock
from v2skit.data.by_length import ByLength, runs_of
from v2skit.data.sampler import BatchSampler

FPS = Clock().fps


def lengths_of(hours: float) -> np.ndarray:
    """Lengths of utterances as in corpora, frames, of a total duration of ``hours``.

    Half of the hours are segments of 10 to 20 s, as in MLS; 30 % are of 2 to 17 s, most of them long, as in
    LibriSpeech; the rest is 1 to 10 s long, as in Common Voice.
    """
    random, total = np.random.default_rng(0), hours * 3600 * FPS
    counts = [int(total * share / (seconds * FPS)) + 1000 for share, seconds in ((0.5, 15), (0.3, 12), (0.2, 5))]
    seconds = [
        random.uniform(10, 20, counts[0]),
        17 - random.gamma(1.5, 3, counts[1]),
        random.gamma(6, 0.85, counts[2]),
    ]
    lengths = np.concatenate([seconds[0], seconds[1].clip(2, 17), seconds[2].clip(1, 10)]) * FPS
    lengths = random.permutation(lengths.astype(np.int32))
    return lengths[: np.searchsorted(np.cumsum(lengths, dtype=np.int64), total) + 1]


def listed(lengths: np.ndarray, batch_frames: int, seed: int) -> list[list[int]]:
    """The baseline: all batches of an epoch."""
    random = np.random.default_rng(seed)
    batches: list[list[int]] = [[]]
    longest = 0
    for index in np.argsort(lengths * random.uniform(0.9, 1.0, len(lengths))).tolist():
        longest = max(longest, lengths[index])
        if longest * (len(batches[-1]) + 1) > batch_frames:
            batches.append([])
            longest = lengths[index]
        batches[-1].append(index)
    return [batches[number] for number in random.permutation(len(batches))]


def epoch_of(order: BatchSampler) -> list[list[int]]:
    """The batches of epoch 0 that one process gets."""
    batches = []
    for batch in order:
        if batch[0].epoch:
            return batches
        batches.append([key.number for key in batch])


def traced(work) -> tuple[object, float, float]:
    """(result, seconds, peak memory in MB)."""
    start = time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    tracemalloc.start()
    result = work()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return result, seconds, peak


def report(label: str, lengths: np.ndarray, ranks: list[list[list[int]]], seconds: float, first: str) -> None:
    counts = np.bincount([i for batches in ranks for batch in batches for i in batch], minlength=len(lengths))
    real = [sum(int(lengths[batch].sum()) for batch in batches) for batches in ranks]
    padded = [sum(len(batch) * int(lengths[batch].max()) for batch in batches) for batches in ranks]
    once = "yes" if (counts == 1).all() else "NO"
    padding, imbalance = 1 - sum(real) / sum(padded), max(real) / min(real) - 1
    number = sum(map(len, ranks))
    print(f"{label:16}{number:9}{once:>6}{padding:10.2%}{imbalance:8.2%}{seconds / number * 1e6:14.0f}{first}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=positive_number, default=3572)
    parser.add_argument("--batch_frames", type=whole_number, default=4000)
    parser.add_argument("--segment_frames", type=whole_number, default=50)
    args = parser.parse_args()
    lengths = lengths_of(args.hours)
    runs = runs_of(lengths)
    print(f"{len(lengths)} utterances, {lengths.sum() / FPS / 3600:.1f} h; batches of up to {args.batch_frames} frames")
    heads = f"{'batches':>9}{'once':>6}{'padding':>10}{'apart':>8}{'us a batch':>14}{'first, s':>12}{'MB':>8}"
    for longest in (None, args.segment_frames):
        clips, drawn = ByLength([runs], longest), np.minimum(lengths, longest or lengths.max())
        print(f"\n{f'segments of {longest}' if longest else 'whole':16}{heads}")
        for world in (1, 8, 64):
            order = partial(BatchSampler, clips, args.batch_frames, 1, (0, 0), world, world=world)
            _, soon, memory = traced(lambda order=order: next(iter(order())))
            start = time.perf_counter()
            ranks = [epoch_of(order(rank=rank)) for rank in range(world)]
            label = f"{world} process{'es' * (world > 1)}"
            report(label, drawn, ranks, time.perf_counter() - start, f"{soon:12.4f}{memory:8.1f}")
        batches, seconds, memory = traced(lambda lengths=drawn: listed(lengths, args.batch_frames, 1))
        report("lists", drawn, [batches], seconds, f"{seconds:12.4f}{memory:8.1f}")


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_sampler"))
