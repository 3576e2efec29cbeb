"""Speed of preparation and of reading what it stored, and what each storage format costs.

    tools/venv/bin/python tools/benchmark_prepare.py --corpus_dir DIR

DIR is searched for videos; without it, a few are made on the spot, which need no tracker. Speeds are frames per second
of processor time, so that other work on the machine matters less. Errors are against the crops before they are stored.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Iterator

import av
import numpy as np

from v2skit.build import build
from v2skit.clock import Clock
from v2skit.data.audio import write_audio
from v2skit.data.crop import Crop, cut_mouth
from v2skit.data.media import probe, read_audio, read_video
from v2skit.data.video import GROUP, QUANTISER, read_crops, write_crops
from v2skit.settings import Component

CLOCK, CROP, SEGMENT_FRAMES = Clock(), Crop(), 50
VIDEOS = (".mpg", ".mp4", ".avi", ".mov", ".mkv")


def h264(group: int, **quality: str) -> tuple[str, str, str, dict]:
    options = {"bf": "0", "preset": "veryfast", "tune": "fastdecode", "g": str(group), **quality}
    return "libx264", "mp4", "gray", options


def jpeg(quantiser: str) -> tuple[str, str, str, dict]:
    return "mjpeg", "matroska", "yuvj420p", {"qmin": quantiser, "qmax": quantiser}


FORMATS = {
    "H.264 qp 0": h264(GROUP, qp="0"),
    "H.264 qp 12": h264(GROUP, qp="12"),
    f"H.264 qp {QUANTISER} (ours)": h264(GROUP, qp=str(QUANTISER)),
    "  group of 1": h264(1, qp=str(QUANTISER)),
    "  group of 75": h264(75, qp=str(QUANTISER)),
    "H.264 qp 20": h264(GROUP, qp="20"),
    "H.264 crf 18": h264(GROUP, crf="18"),
    "MPEG-4 part 2": ("mpeg4", "mp4", "yuv420p", {"qmin": "3", "qmax": "3", "g": str(GROUP)}),
    "JPEG frames, q 1": jpeg("1"),
    "JPEG frames, q 2": jpeg("2"),
    "JPEG frames, q 3": jpeg("3"),
    "FFV1 lossless": ("ffv1", "matroska", "gray", {}),
}


class Stopwatch:
    """Processor time and frames of each kind of work."""

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
        print(f"\n{title:38}frames/s a core")
        for work, seconds in self.seconds.items():
            print(f"  {work:36}{self.frames[work] / seconds:10.0f}")
        self.__init__()


class Replay:
    """A tracker that repeats what another one said."""

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
    parser.add_argument("--corpus_dir", type=Path, help="videos of talking faces")
    parser.add_argument("--clips", type=int, default=20, help="spread over what is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.corpus_dir:
            found = sorted(p for p in arguments.corpus_dir.rglob("*") if p.suffix.lower() in VIDEOS)
            if not found:
                parser.error(f"no {' '.join(VIDEOS)} under {arguments.corpus_dir}")
            videos = found[:: max(1, len(found) // arguments.clips)][: arguments.clips]
        else:
            videos = [made_up(Path(folder) / f"{n}.mp4", n) for n in range(min(arguments.clips, 5))]
        tracker = build("tracker", Component("mediapipe" if arguments.corpus_dir else "none", {}))
        watch = Stopwatch()
        clips = [prepare(video, Path(folder) / f"out{n}", tracker, watch) for n, video in enumerate(videos)]
        watch.print(f"preparing {len(clips)} clips")
        random = np.random.default_rng(1)
        for number, video in enumerate(videos):
            read(video, Path(folder) / f"out{number}.mp4", len(clips[number]), random, watch)
        watch.print("reading")
    print(f"\n{'storage format':24}{'kB/s':>8}{'write/s':>9}{'read/s':>9}{'mean error':>12}{'largest':>9}")
    for name, choice in FORMATS.items():
        size, written, back, mean, largest = np.mean([store(clip, *choice) for clip in clips], axis=0)
        print(f"{name:24}{size:8.1f}{written:9.0f}{back:9.0f}{mean:12.2f}{largest:9.0f}")


def made_up(path: Path, seed: int) -> Path:
    """A clip of 3 s of soft moving shapes with some noise, 360x288, and a tone."""
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


def prepare(video: Path, out: Path, tracker, watch: Stopwatch) -> np.ndarray:
    """Do it at one go and step by step. Returns the crops before they are stored."""
    frames = list(read_video(video, CLOCK.fps))
    count = len(frames)
    with watch.measure("the whole", count):
        start = probe(video).start
        crops, _ = cut_mouth(read_video(video, CLOCK.fps), tracker, CROP, CLOCK.fps)
        write_audio(out.with_suffix(".flac"), read_audio(video, CLOCK.sample_rate, start), CLOCK.sample_rate)
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
        write_audio(out.with_suffix(".flac"), read_audio(video, CLOCK.sample_rate, start), CLOCK.sample_rate)
    return crops


def read(video: Path, stored: Path, count: int, random: np.random.Generator, watch: Stopwatch) -> None:
    """Stored crops, whole and in part, against the original video."""
    part = min(SEGMENT_FRAMES, count)
    with watch.measure("stored crops, whole clips", count):
        read_crops(stored)
    with watch.measure(f"stored crops, random {SEGMENT_FRAMES} frames", part):
        read_crops(stored, int(random.integers(0, count - part + 1)), part)
    with watch.measure("original video, whole clips", count):
        for _ in read_video(video, CLOCK.fps):
            pass


def store(clip: np.ndarray, codec: str, container: str, layout: str, options: dict) -> tuple[float, ...]:
    """kB a second of video, frames a second written and read, mean and largest error in gray levels."""
    started, stored = time.process_time(), io.BytesIO()
    with av.open(stored, "w", format=container) as output:
        stream = output.add_stream(codec, rate=CLOCK.fps, options={**options, "threads": "1"})
        stream.height, stream.width, stream.pix_fmt = *clip.shape[1:], layout
        for picture in clip:
            output.mux(stream.encode(with_luma(picture, layout)))
        output.mux(stream.encode(None))
    between, size = time.process_time(), len(stored.getvalue())
    stored.seek(0)
    with av.open(stored) as source:
        source.streams.video[0].codec_context.thread_count = 1
        back = np.stack([luma(frame) for frame in source.decode(video=0)])
    ended = time.process_time()
    error = np.abs(back.astype(int) - clip)
    speeds = len(clip) / (between - started), len(clip) / (ended - between)
    return size / 1000 / (len(clip) / CLOCK.fps), *speeds, error.mean(), error.max()


def with_luma(picture: np.ndarray, layout: str) -> av.VideoFrame:
    """A frame whose luma plane is the picture, untouched by conversions of range."""
    if layout == "gray":
        return av.VideoFrame.from_ndarray(picture, format="gray")
    no_colour = np.full((picture.shape[0] // 2, picture.shape[1]), 128, np.uint8)
    return av.VideoFrame.from_ndarray(np.vstack([picture, no_colour]), format=layout)


def luma(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]


if __name__ == "__main__":
    main()
