"""How mouth crops are best stored: bytes, speed and error of several formats on real crops.

    tools/venv/bin/python tools/benchmark_prepare.py egs/grid/data/s1/valid/video

Errors are against the crops given: those stored with ``write_crops(..., quantiser=0)`` have none of their own.
"""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path

import av
import numpy as np

from v2skit.data.video import GROUP, QUANTISER, read_crops

FAST = {"g": str(GROUP), "bf": "0", "preset": "veryfast", "tune": "fastdecode"}
FORMATS = {
    **{f"H.264 qp {qp}": ("libx264", "mp4", "gray", {**FAST, "qp": str(qp)}) for qp in (0, 12, QUANTISER, 20)},
    "H.264 crf 18": ("libx264", "mp4", "gray", {**FAST, "crf": "18"}),
    "MPEG-4 part 2": ("mpeg4", "mp4", "yuv420p", {"qmin": "3", "qmax": "3"}),
    "JPEG": ("mjpeg", "matroska", "yuvj420p", {"qmin": "3", "qmax": "3"}),
    "FFV1 lossless": ("ffv1", "matroska", "gray", {}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of stored crops")
    parser.add_argument("--clips", type=int, default=20)
    arguments = parser.parse_args()
    clips = [read_crops(path) for path in sorted(arguments.folder.glob("*.mp4"))[: arguments.clips]]
    if not clips:
        parser.error(f"no .mp4 in {arguments.folder}")
    print(f"{'format':16}{'kB/s':>8}{'write/s':>9}{'read/s':>9}{'mean error':>12}{'largest':>9}")
    for name, choice in FORMATS.items():
        sizes, written, read, mean, largest = np.mean([measure(clip, *choice) for clip in clips], axis=0)
        print(f"{name:16}{sizes:8.1f}{written:9.0f}{read:9.0f}{mean:12.2f}{largest:9.0f}")


def measure(clip: np.ndarray, codec: str, container: str, layout: str, options: dict) -> tuple[float, ...]:
    """kB a second, frames a second written and read by one core, mean and largest error in gray levels."""
    started, stored = time.perf_counter(), io.BytesIO()
    with av.open(stored, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = *clip.shape[1:], layout
        encoder = stream.codec_context
        encoder.gop_size, encoder.max_b_frames, encoder.thread_count = GROUP, 0, 1
        for picture in clip:
            output.mux(stream.encode(with_luma(picture, layout)))
        output.mux(stream.encode())
    between, size = time.perf_counter(), len(stored.getvalue())
    stored.seek(0)
    with av.open(stored) as source:
        source.streams.video[0].codec_context.thread_count = 1
        back = np.stack([luma(frame) for frame in source.decode(video=0)])
    ended = time.perf_counter()
    error = np.abs(back.astype(int) - clip)
    count, seconds = len(clip), len(clip) / 25
    return size / 1000 / seconds, count / (between - started), count / (ended - between), error.mean(), error.max()


def with_luma(picture: np.ndarray, layout: str) -> av.VideoFrame:
    if layout == "gray":
        return av.VideoFrame.from_ndarray(picture, format="gray")
    gray = np.full((picture.shape[0] // 2, picture.shape[1]), 128, np.uint8)
    return av.VideoFrame.from_ndarray(np.vstack([picture, gray]), format=layout)


def luma(frame: av.VideoFrame) -> np.ndarray:
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]


if __name__ == "__main__":
    main()
