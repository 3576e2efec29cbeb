"""Speed of preparation, as a whole and of each step; ``benchmark_storage.py`` measures reading its output.

    tools/venv/bin/python tools/benchmark_prepare.py --corpus_dir DIR

DIR contains videos of faces; without it, a few are generated, which need no tracker. Speeds are frames per second of
processor time, on which other load on the machine has less influence.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from argument_types import whole_number

from v2skit.cli.failures import status_of
from v2skit.config.features import Clock, Crop
from v2skit.media.audio import write_audio
from v2skit.media.audio_stream import decode_audio
from v2skit.media.container import probe
from v2skit.media.crops import write_crops
from v2skit.media.video import read_video
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.tracking.crop import cut_mouth

CLOCK, CROP = Clock(), Crop()
VIDEOS = (".mpg", ".mp4", ".avi", ".mov", ".mkv")


class Stopwatch:
    """Processor time and number of frames of each step."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.frames: Counter[str] = Counter()

    @contextmanager
    def measure(self, work: str, frames: int) -> Iterator[None]:
        started = time.process_time()
        yield
        self.seconds[work] += time.process_time() - started
        self.frames[work] += frames

    def print(self, title: str) -> None:
        print(f"\n{title:38}frames/s per core")
        for work, seconds in self.seconds.items():
            print(f"  {work:36}{self.frames[work] / seconds:10.0f}")


class Replay:
    """A tracker that returns recorded poses."""

    def __init__(self, mouths: list) -> None:
        self.mouths = mouths

    def start(self, video: Path | None, fps: int) -> None:
        self.left = iter(self.mouths)

    def update(self, frame: np.ndarray):
        return next(self.left)

    def finish(self) -> None:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus_dir", type=Path, help="folder with videos of talking faces")
    parser.add_argument("--clips", type=whole_number, default=20, help="videos, evenly spaced in the sorted list")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        videos = videos_in(arguments.corpus_dir, arguments.clips, parser, Path(folder))
        tracker = build("tracker", Component("face_mesh" if arguments.corpus_dir else "none", {}))
        watch = Stopwatch()
        for number, video in enumerate(videos):
            prepare(video, Path(folder) / f"out{number}", tracker, watch)
    watch.print(f"preparing {len(videos)} clips")


def videos_in(corpus: Path | None, count: int, parser: argparse.ArgumentParser, folder: Path) -> list[Path]:
    """Videos of a corpus, evenly spaced in the sorted list; without a corpus, generated ones in the folder."""
    if corpus is None:
        return [generate(folder / f"{number}.mp4", number) for number in range(min(count, 5))]
    found = sorted(path for path in corpus.rglob("*") if path.suffix.lower() in VIDEOS)
    if not found:
        parser.error(f"no {' '.join(VIDEOS)} under {corpus}")
    return found[:: max(1, len(found) // count)][:count]


def generate(path: Path, seed: int) -> Path:
    """Write a clip of 3 s, 360x288: smooth moving shapes with noise, and a tone."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:288, :360]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=CLOCK.fps, options={"preset": "veryfast"})
        video.width, video.height, video.pix_fmt = 360, 288, "yuv420p"
        audio = container.add_stream("aac", rate=44100, layout="mono")
        for t in range(3 * CLOCK.fps):
            across, down = columns - 180 - 20 * np.sin(t / 6), rows - 144
            shape = np.exp(-(across**2) / 3000 - down**2 / (300 + 200 * np.sin(t)))
            gray = 60 + columns / 5 + 100 * shape + random.normal(0, 3, shape.shape)
            picture = np.repeat(gray.clip(0, 255).astype(np.uint8)[..., None], 3, 2)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode(None))
        tone = 0.3 * np.sin(np.arange(3 * 44100) / 20).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, 0, Fraction(1, 44100)
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def prepare(video: Path, out: Path, tracker, watch: Stopwatch) -> None:
    """Prepare a video in one pass, then each step by itself."""
    frames = list(read_video(video, CLOCK.fps))
    count = len(frames)
    with watch.measure("the whole", count):
        start = probe(video).start
        crops, _ = cut_mouth(read_video(video, CLOCK.fps), tracker, CROP, CLOCK.fps)
        write_audio(out.with_suffix(".flac"), decode_audio(video, CLOCK.sample_rate, start), CLOCK.sample_rate)
        write_crops(out.with_suffix(".mp4"), crops, CLOCK.fps)
    with watch.measure("decoding", count):
        for _ in read_video(video, CLOCK.fps):
            pass
    with watch.measure("tracking", count):
        tracker.start(video, CLOCK.fps)
        mouths = [tracker.update(frame) for frame in frames]
    with watch.measure("cropping", count):
        cut_mouth(frames, Replay(mouths), CROP, CLOCK.fps)
    with watch.measure("writing crops", count):
        write_crops(out.with_suffix(".mp4"), crops, CLOCK.fps)
    with watch.measure("sound", count):
        write_audio(out.with_suffix(".flac"), decode_audio(video, CLOCK.sample_rate, start), CLOCK.sample_rate)


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_prepare"))
