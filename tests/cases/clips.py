"""Videos of real talkers in many frame rates, sizes, codecs and containers, generated from clips of GRID."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.media_files import real_data
from v2skit.media.video import read_timed_frames

SECONDS = 1.6
"""Duration of most clips."""

GRAY = 128
DISPLAY_MATRICES = {  # a, b, c, d: how a phone's recording is to be rotated or mirrored for display, integers
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
}

Scene = Callable[[float], np.ndarray]
"""Time, seconds -> the frame at that time, RGB uint8 (H,W,3)."""


def talker(name: str) -> Scene:
    """A talker of ``grid_others``, 360x288, for 3 s."""
    frames = [frame for _, frame in read_timed_frames(real_data("grid_others") / f"{name}.mpg")]
    return lambda time: frames[min(round(time * 25), len(frames) - 1)]


def sized(scene: Scene, width: int, height: int) -> Scene:
    """The scene scaled to fit into the size, and padded with gray."""

    def picture(time: float) -> np.ndarray:
        image = Image.fromarray(scene(time))
        scale = min(width / image.width, height / image.height)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        canvas = Image.new("RGB", (width, height), (GRAY, GRAY, GRAY))
        canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        return np.asarray(canvas)

    return picture


def covered(scene: Scene, start: float, end: float) -> Scene:
    """The scene with gray frames from ``start`` to before ``end``, seconds."""
    return lambda time: np.full_like(scene(time), GRAY) if start <= time < end else scene(time)


def side_by_side(left: Scene, right: Scene) -> Scene:
    """Two scenes of equal height."""
    return lambda time: np.concatenate([left(time), right(time)], 1)


def rotated(scene: Scene, degrees: int) -> Scene:
    """The scene rotated counter-clockwise, as a camera stores it that is rotated clockwise."""
    return lambda time: np.rot90(scene(time), degrees // 90)


def mirrored(scene: Scene) -> Scene:
    """The scene mirrored left to right."""
    return lambda time: scene(time)[:, ::-1]


def frame_times(fps: Fraction | int, seconds: float = SECONDS) -> list[Fraction]:
    """Presentation times, seconds, of the frames of a clip of constant frame rate."""
    return [Fraction(number) / fps for number in range(round(fps * seconds))]


def write_clip(
    path: Path,
    scene: Scene,
    times: Iterable[Fraction] | None = None,
    fps: Fraction | int = 25,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    audio_seconds: float | None = None,
    rotation: int | str | None = None,
    base: Fraction | None = None,
) -> Path:
    """Write a video.

    Args:
        path: its extension names the container.
        scene: what the frames show.
        times: presentation times of the frames, seconds; None: SECONDS of ``fps``.
        fps: frame rate that the file states; the last frame lasts ``1 / fps``.
        codec: FFmpeg's name of the video codec.
        pixels: FFmpeg's name of the pixel format.
        audio_seconds: duration of a tone; None: no audio stream.
        rotation: a key of DISPLAY_MATRICES, stated in an .mp4 file; None: not rotated.
        base: time base of the timestamps, seconds; None: ``1 / fps``.
    """
    times = frame_times(fps) if times is None else list(times)
    base = base or 1 / Fraction(fps)
    vp9 = {"deadline": "realtime", "cpu-used": "8"}
    quick = {"libx264": {"preset": "ultrafast", "threads": "1"}, "libvpx-vp9": vp9}
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=Fraction(fps), options=quick.get(codec, {}))
        video.height, video.width = scene(0.0).shape[:2]
        video.pix_fmt, video.bit_rate, video.codec_context.time_base = pixels, 4_000_000, base
        sound = None if audio_seconds is None else container.add_stream("aac", rate=24000, layout="mono")
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(scene(float(time))), format="rgb24")
            frame.pts, frame.time_base = round(time / base), base
            container.mux(_with_duration(video.encode(frame), base, fps))
        container.mux(_with_duration(video.encode(None), base, fps))
        if sound:
            tone = 0.3 * np.sin(np.arange(round(audio_seconds * 24000)) / 10)
            frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 24000, 0
            container.mux([*sound.encode(frame), *sound.encode(None)])
    if rotation is not None:
        _set_display_matrix(path, DISPLAY_MATRICES[rotation])
    return path


def _with_duration(packets: Sequence[av.Packet], base: Fraction, fps: Fraction | int) -> Sequence[av.Packet]:
    for packet in packets:
        packet.duration = round(1 / (fps * base))
    return packets


def _set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Replace the display matrix (a, b, c, d) in the track header."""
    one = 1 << 16
    a, b, c, d = (one * part for part in matrix)
    plain, wanted = (struct.pack(">9i", *m, 0, 0, 1 << 30) for m in ((one, 0, 0, 0, one, 0), (a, b, 0, c, d, 0)))
    data = path.read_bytes()
    at = data.index(plain, data.index(b"tkhd"))
    path.write_bytes(data[:at] + wanted + data[at + len(plain) :])
