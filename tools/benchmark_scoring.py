"""Time that scoring takes: STOI, ESTOI, PESQ, MCD and PocketSphinx's WER, at first and again, when little has changed.

    tools/venv/bin/python tools/benchmark_scoring.py egs/grid/data_cpu/available/test --grammar grid

The clips are the ground truth of a data directory, repeated or cut to 3 s each; their hypotheses have noise of random
level, so that no two are the same. Reading the config and the bootstrap, some seconds, are not part of the times.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import numpy as np
from argument_types import positive_number, whole_number

from v2skit.cli.failures import status_of
from v2skit.corpora.grid_grammar import jsgf
from v2skit.data.data_dir import Utterance, read_clock, read_manifest
from v2skit.errors import UserError
from v2skit.evaluation.score import score
from v2skit.media.audio import read_audio, write_audio
from v2skit.registry.build import build
from v2skit.registry.component import Component

METRICS = ("stoi", "estoi", "pesq_wb", "mcd")
GRAMMARS = {"grid": jsgf(), "none": None}


def make_clips(source: Path, folder: Path, count: int, seconds: float) -> list[Utterance]:
    """Write ``<id>.flac`` of each clip and ``hypotheses/<id>.wav``. Returns the clips' utterances."""
    clock, generator, made = read_clock(source), np.random.default_rng(0), []
    utterances = [u for u in read_manifest(source) if u.audio]
    if not utterances:
        raise UserError(f"{source} has no audio; name a data directory with ground truth")
    sources = cycle(utterances)
    for number in range(count):
        utterance = next(sources)
        assert utterance.audio is not None
        audio = np.resize(read_audio(utterance.audio, clock.sample_rate), round(seconds * clock.sample_rate))
        noise = 10 ** generator.uniform(-4, -2) * generator.standard_normal(len(audio))
        clip = Utterance(f"clip{number:04d}", utterance.speaker, 1, folder / f"clip{number:04d}.flac", None, "BIN BLUE")
        write_audio(folder / f"{clip.id}.flac", audio, clock.sample_rate)
        write_audio(folder / "hypotheses" / f"{clip.id}.wav", (audio + noise).clip(-1, 1), clock.sample_rate)
        made.append(clip)
    return made


def main() -> None:
    """Print one row for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path, help="data directory with the ground truth")
    parser.add_argument("--clips", type=whole_number, default=200)
    parser.add_argument("--seconds", type=positive_number, default=3.0, help="of each clip")
    parser.add_argument("--jobs", type=whole_number, default=2, help="processes")
    parser.add_argument("--grammar", choices=GRAMMARS, default="none", help="that PocketSphinx is given")
    options = parser.parse_args()
    rate = read_clock(options.data_dir).sample_rate
    metrics = {name: build("metric", Component(name, {}, kind="metric")) for name in METRICS}
    asr = build("asr", Component("pocketsphinx", {}, kind="asr"), grammar=GRAMMARS[options.grammar])
    print(f"{options.clips} clips of {options.seconds:g} s, {options.jobs} processes\n| run | seconds |\n| --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        utterances = make_clips(options.data_dir, Path(folder), options.clips, options.seconds)
        hypotheses, cache = Path(folder) / "hypotheses", Path(folder) / "cache.jsonl"
        for run in ("first", "again", "one clip changed"):
            if run == "one clip changed":
                (hypotheses / "clip0000.wav").write_bytes((hypotheses / "clip0001.wav").read_bytes())
            start = time.perf_counter()
            score(utterances, hypotheses, metrics, asr, rate, options.jobs, cache=cache)
            print(f"| {run} | {time.perf_counter() - start:.1f} |", flush=True)


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_scoring"))
