"""Synthesis from a video file to an audio file: real-time factor, share of each step, memory; and live synthesis.

    tools/venv/bin/python tools/benchmark_synth.py --video clip.mp4            # a talking face, repeated
    tools/venv/bin/python tools/benchmark_synth.py --video clip.mp4 --hour     # peak memory of one hour
    tools/venv/bin/python tools/benchmark_synth.py --video clip.mp4 --live     # frames in real time, as of a camera

Runs on one core. Speed does not depend on the values of the weights: the models are untrained, of the sizes of the mini
recipe and of SVTS-S, with Griffin-Lim; live, the mini recipe's streaming model. Without ``--video`` the video is blank
and no face is tracked.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from argument_types import positive_number, whole_number

from v2skit.cli.failures import status_of
from v2skit.config.load import load_config
from v2skit.media.audio import write_audio_chunks
from v2skit.media.video import read_timed_frames
from v2skit.models.build import build_model, build_vocoder, for_inference
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.synthesis import video as video_module
from v2skit.synthesis.live.live import LiveSynthesis
from v2skit.synthesis.live.sources import open_source
from v2skit.synthesis.synthesiser import Synthesiser

EGS = Path(__file__).parent.parent / "egs"
MODELS = {"mini": EGS / "mini/conf/mel.yaml", "SVTS-S": EGS / "grid/conf/mel_s.yaml"}
STREAMING = EGS / "mini/conf/streaming.yaml"
FPS = 25


class Stopwatch:
    """CPU time of each step over all threads, provided that no two steps run at the same time."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    def call(self, step: str, function: Callable) -> Callable:
        """The function, with its CPU time added to that of the step."""

        def timed(*args: Any) -> Any:
            start = time.process_time()
            try:
                return function(*args)
            finally:
                self.seconds[step] += time.process_time() - start

        return timed

    def items(self, step: str, items: Iterator) -> Iterator:
        """The items, with the CPU time of producing them added to that of the step."""
        following = self.call(step, lambda: next(items, None))
        while (item := following()) is not None:
            yield item


class TimedTracker:
    """A tracker whose updates are timed."""

    def __init__(self, tracker: Any, watch: Stopwatch) -> None:
        self.start, self.finish = tracker.start, tracker.finish
        self.update = watch.call("tracking", tracker.update)


def untrained(config_file: Path) -> Synthesiser:
    """A model of a recipe's size."""
    config = load_config(config_file)
    model = for_inference(build_model(config, "v2a", ["somebody"]))
    vocoder = build_vocoder(config) if model.output == "mel" else None
    return Synthesiser(config, model, vocoder)


def repeated(video: Path | None, seconds: float, out: Path) -> None:
    """Write a video of that duration: the encoded packets of one clip, repeated."""
    if video is None:
        frames = [np.full((288, 360, 3), 90, np.uint8)] * (4 * FPS)
    else:
        frames = [frame for _, frame in read_timed_frames(video)]
    clip = out.with_name("once.mp4")
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"bf": "0"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]))))
        container.mux(stream.encode(None))
    with av.open(str(out), "w") as container:
        written, stream = 0, None
        while written < seconds * FPS:
            with av.open(str(clip)) as source:
                stream = stream or container.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.size:
                        packet.stream, packet.time_base = stream, Fraction(1, FPS)
                        packet.pts = packet.dts = written
                        packet.duration = 1
                        container.mux(packet)
                        written += 1


def synthesise(model: Synthesiser, video: Path, tracker: Component, out: Path) -> tuple[float, float, float]:
    """Wall time, CPU time and seconds of speech."""
    wall, busy = time.perf_counter(), time.process_time()
    samples = write_audio_chunks(out, model.synthesise_pieces(video, tracker=tracker), model.sample_rate)
    return time.perf_counter() - wall, time.process_time() - busy, samples / model.sample_rate


def shares(model: Synthesiser, video: Path, tracker: Component, out: Path) -> str:
    """The share of each step in the CPU time, measured with all of them one after the other."""
    watch, kept = Stopwatch(), video_module.in_background
    video_module.in_background = lambda items, size: items
    speech = model.synthesise_pieces(video, tracker=TimedTracker(build("tracker", tracker), watch))
    speech.video.frames = watch.items("decoding", iter(speech.video.frames))
    parts = model.networks
    for name, part in parts.items():
        part.forward = watch.call(name, part.forward)
    begin = time.process_time()
    write_audio_chunks(out, speech, model.sample_rate)
    whole = time.process_time() - begin
    for part in parts.values():
        del part.forward
    video_module.in_background = kept
    watch.seconds["cropping and writing"] = whole - sum(watch.seconds.values())
    return ", ".join(f"{step} {seconds / whole:.0%}" for step, seconds in watch.seconds.items())


def benchmark(video: Path, tracker: Component, folder: Path, repeats: int) -> None:
    """Print real-time factors and shares of the models, which run in alternating rounds."""
    print(f"starting the process took {time.process_time():.1f} s of CPU time, which is not counted below")
    models, out = {name: untrained(config) for name, config in MODELS.items()}, folder / "speech.wav"
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in models}
    for _ in range(repeats):
        for name, model in models.items():
            runs[name].append(synthesise(model, video, tracker, out))
    for name, model in models.items():
        wall, busy = (statistics.median(run[which] / run[2] for run in runs[name]) for which in (0, 1))
        print(f"{name}: real-time factor {wall:.3f}, CPU time {busy:.3f} of real time; median of {repeats}")
        print(f"    {shares(model, video, tracker, out)}")


def hour(video: Path, tracker: Component, folder: Path) -> None:
    """Print the peak memory and the real-time factor of a long video."""
    wall, _, seconds = synthesise(untrained(MODELS["mini"]), video, tracker, folder / "speech.wav")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"mini: {seconds / 60:.0f} minutes, peak memory {peak:.2f} GiB, real-time factor {wall / seconds:.3f}")


def live(video: Path, tracker: Component) -> None:
    """Print the report of a live run for several chunk sizes."""
    model = untrained(STREAMING)
    for chunk in (1, 2, 4):
        run = LiveSynthesis(model, build("tracker", tracker), model.voice(None), chunk)
        report = run.run(open_source(str(video), None, None, realtime=True), lambda samples: None)
        print(f"chunks of {chunk}\n{report}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--video", type=Path, help="video of a talking face")
    parser.add_argument("--seconds", type=positive_number, default=60, help="of the video; with --live at most 20")
    parser.add_argument("--repeats", type=whole_number, default=3)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--hour", action="store_true", help="peak memory of one hour")
    what.add_argument("--live", action="store_true", help="live synthesis in real time")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    tracker = Component("face_mesh" if args.video else "none", {}, kind="tracker")
    seconds = 3600 if args.hour else min(args.seconds, 20) if args.live else args.seconds
    with tempfile.TemporaryDirectory() as name:
        video = Path(name) / "long.mp4"
        repeated(args.video, seconds, video)
        if args.hour:
            hour(video, tracker, Path(name))
        elif args.live:
            live(video, tracker)
        else:
            benchmark(video, tracker, Path(name), args.repeats)


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_synth"))
