"""Mouth crops on disk: the luma of MPEG-4 part 2 of constant quality with short groups of pictures, in MP4.

At 96x96 that takes about 11 KB per second of video, against 24 for JPEG frames of the same error, and is read at nearly
twice the speed of H.264, which has a smaller error at the same size (``tools/benchmark_storage.py``). Constant quality
writes the same bytes each time.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from v2skit.errors import UserError
from v2skit.media.ark import open_location
from v2skit.media.container import time_base
from v2skit.system.atomic import beside

QUANTISER = 2
GROUP = 6
"""Frames from one whole picture to the next: a segment is decoded from the one before its start."""


def encode_crops(frames: np.ndarray, fps: int, quantiser: int = QUANTISER) -> bytes:
    """Mouth crops as the content of an MP4 file.

    Args:
        frames: gray uint8 (T,H,W), H and W even.
        fps: frames a second.
        quantiser: of MPEG-4 part 2, 1 (best) to 31.
    """
    options = {"qmin": str(quantiser), "qmax": str(quantiser), "g": str(GROUP), "threads": "1"}
    content = io.BytesIO()
    with av.open(content, "w", format="mp4", options={"movflags": "+write_colr"}) as container:  # says the range
        stream = container.add_stream("mpeg4", rate=fps, options=options)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.color_range = 2  # full: 0 to 255
        for number, picture in enumerate(frames):
            frame = frame_of_luma(picture, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()


def write_crops(path: Path, frames: np.ndarray, fps: int, quantiser: int = QUANTISER) -> None:
    """Store mouth crops in a file, written beside and renamed; see :func:`encode_crops`."""
    with beside(path) as part:
        part.write_bytes(encode_crops(frames, fps, quantiser))


def read_crops(path: Path, start: int = 0, frames: int | None = None) -> np.ndarray:
    """Read stored mouth crops, or a segment of them.

    Args:
        path: of what :func:`encode_crops` made, a file or an archive's entry (:mod:`v2skit.media.ark`).
        start: first frame.
        frames: how many; None: to the end.

    Returns:
        gray uint8 (T,H,W); fewer than ``frames`` where the file ends before.

    Raises:
        UserError: the file is missing or damaged.
    """
    pictures = []
    try:
        with av.open(open_location(path), "r", format="mp4") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            if not stream.average_rate:
                raise OSError("it has no frame rate")
            frames_per_tick = float(stream.average_rate * time_base(stream))
            if start:
                container.seek(int(start / frames_per_tick), stream=stream)
            for frame in container.decode(stream):
                assert frame.pts is not None, "MPEG-4 files state the time of each frame"
                number = round(frame.pts * frames_per_tick)
                if frames is not None and number >= start + frames:
                    break
                if number >= start:
                    pictures.append(luma(frame))
    except (av.FFmpegError, OSError, IndexError) as error:
        raise UserError(f"mouth crops {path} can't be read ({error}); prepare them again (stage 1 --force)") from error
    if not pictures:
        raise UserError(f"mouth crops {path} hold no frames from {start} on; prepare them again (stage 1 --force)")
    return np.stack(pictures)


def frame_of_luma(picture: np.ndarray, layout: str) -> av.VideoFrame:
    """A frame without colour whose luma is a picture (H,W), untouched by conversions of range."""
    if layout == "gray":
        return av.VideoFrame.from_ndarray(picture, format="gray")
    no_colour = np.full((picture.shape[0] // 2, picture.shape[1]), 128, np.uint8)
    return av.VideoFrame.from_ndarray(np.vstack([picture, no_colour]), format=layout)


def luma(frame: av.VideoFrame) -> np.ndarray:
    """The luma of a frame as it is, uint8 (H,W), a view; ``to_ndarray`` takes a third as long as decoding."""
    plane: Any = frame.planes[0]  # its type does not say that it is a buffer
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
