"""Clips of real talkers in all the ways that videos come: each is made on the spot from a clip of GRID."""

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
"""Of most clips."""

GRAY = 128
TURNED = {  # the display matrix of a phone's recording, fixed point: how the stored picture is to be shown
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
}

Pictures = Callable[[float], np.ndarray]
"""Time, seconds -> what is to be seen then, RGB uint8 (H,W,3)."""


def talker(name: str) -> Pictures:
    """A talker of ``grid_others``, 360x288, for 3 s."""
    frames = [frame for _, frame in read_timed_frames(real_data("grid_others") / f"{name}.mpg")]
    return lambda time: frames[min(round(time * 25), len(frames) - 1)]


def sized(pictures: Pictures, width: int, height: int) -> Pictures:
    """As large as fits into the size, with gray beside or above it."""

    def picture(time: float) -> np.ndarray:
        image = Image.fromarray(pictures(time))
        scale = min(width / image.width, height / image.height)
        image = image.resize((round(image.width * scale), round(image.height * scale)))
        canvas = Image.new("RGB", (width, height), (GRAY, GRAY, GRAY))
        canvas.paste(image, ((width - image.width) // 2, (height - image.height) // 2))
        return np.asarray(canvas)

    return picture


def covered(pictures: Pictures, start: float, end: float) -> Pictures:
    """Nothing but gray is seen from ``start`` to before ``end``, seconds."""
    return lambda time: np.full_like(pictures(time), GRAY) if start <= time < end else pictures(time)


def beside(left: Pictures, right: Pictures) -> Pictures:
    """Two pictures of one height side by side."""
    return lambda time: np.concatenate([left(time), right(time)], 1)


def turned(pictures: Pictures, degrees: int) -> Pictures:
    """Turned counter-clockwise, as a camera that is held aslant stores it."""
    return lambda time: np.rot90(pictures(time), degrees // 90)


def mirrored(pictures: Pictures) -> Pictures:
    """Left and right change places."""
    return lambda time: pictures(time)[:, ::-1]


def frame_times(fps: Fraction | int, seconds: float = SECONDS) -> list[Fraction]:
    """Times of the frames of a clip of constant rate."""
    return [Fraction(number) / fps for number in range(round(fps * seconds))]


def write_clip(
    path: Path,
    pictures: Pictures,
    times: Iterable[Fraction] | None = None,
    fps: Fraction | int = 25,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    audio_seconds: float | None = None,
    turn: int | str | None = None,
    base: Fraction | None = None,
) -> Path:
    """Write a video.

    Args:
        path: its extension names the container.
        pictures: what is seen.
        times: of the frames, seconds, each of which shows what ``pictures`` shows then; None: SECONDS of ``fps``.
        fps: frames a second, stated; the last frame lasts so long.
        codec, pixels: how the picture is stored.
        audio_seconds: length of a tone beside it; None: no sound.
        turn: a key of TURNED, stated in an .mp4 file.
        base: unit of the frames' times, seconds; None: the time of a frame.
    """
    times = frame_times(fps) if times is None else list(times)
    base = base or 1 / Fraction(fps)
    vp9 = {"deadline": "realtime", "cpu-used": "8"}
    quick = {"libx264": {"preset": "ultrafast", "threads": "1"}, "libvpx-vp9": vp9}
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=Fraction(fps), options=quick.get(codec, {}))
        video.height, video.width = pictures(0.0).shape[:2]
        video.pix_fmt, video.bit_rate, video.codec_context.time_base = pixels, 4_000_000, base
        sound = None if audio_seconds is None else container.add_stream("aac", rate=24000, layout="mono")
        for time in times:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pictures(float(time))), format="rgb24")
            frame.pts, frame.time_base = round(time / base), base
            container.mux(_lasting(video.encode(frame), base, fps))
        container.mux(_lasting(video.encode(None), base, fps))
        if sound:
            tone = 0.3 * np.sin(np.arange(round(audio_seconds * 24000)) / 10)
            frame = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts = 24000, 0
            container.mux([*sound.encode(frame), *sound.encode(None)])
    if turn is not None:
        _state_turn(path, TURNED[turn])
    return path


def _lasting(packets: Sequence[av.Packet], base: Fraction, fps: Fraction | int) -> Sequence[av.Packet]:
    for packet in packets:
        packet.duration = round(1 / (fps * base))
    return packets


def _state_turn(path: Path, turn: tuple[int, int, int, int]) -> None:
    """Replace the display matrix in the track's header."""
    one = 1 << 16
    a, b, c, d = (one * part for part in turn)
    plain, wanted = (struct.pack(">9i", *m, 0, 0, 1 << 30) for m in ((one, 0, 0, 0, one, 0), (a, b, 0, c, d, 0)))
    data = path.read_bytes()
    at = data.index(plain, data.index(b"tkhd"))
    path.write_bytes(data[:at] + wanted + data[at + len(plain) :])
