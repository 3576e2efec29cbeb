"""Stored mouth crops: the luma plane of MPEG-4 part 2 at constant quality with short groups of pictures, in MP4.

At 96x96 pixels they take about 11 KB per second of video, against 24 KB for JPEG frames of the same error, and are
decoded at nearly twice the speed of H.264, which has a smaller error at the same size (``tools/benchmark_storage.py``).
Constant quality makes the bytes reproducible.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from v2skit.errors import UserError
from v2skit.media.ark import open_location, split_location
from v2skit.media.container import time_base
from v2skit.media.formats import open_input
from v2skit.system.atomic import atomic_write
from v2skit.system.state_file import check_permission

QUANTISER = 2
GOP_FRAMES = 6
"""Frames from one key frame to the next: a segment is decoded from the key frame before its start."""

FULL_RANGE = 2
"""FFmpeg's AVCOL_RANGE_JPEG: luma from 0 to 255."""


def encode_crops(frames: np.ndarray, fps: int, quantiser: int = QUANTISER) -> bytes:
    """Encode mouth crops.

    Args:
        frames: gray uint8 (T,H,W), H and W even.
        fps: frames a second.
        quantiser: of MPEG-4 part 2, 1 (best) to 31.

    Returns:
        the content of an MP4 file.
    """
    options = {"qmin": str(quantiser), "qmax": str(quantiser), "g": str(GOP_FRAMES), "threads": "1"}
    content = io.BytesIO()
    with av.open(content, "w", format="mp4", options={"movflags": "+write_colr"}) as container:  # states the range
        stream = container.add_stream("mpeg4", rate=fps, options=options)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.color_range = FULL_RANGE
        for index, image in enumerate(frames):
            frame = frame_of_luma(image, "yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return content.getvalue()


def write_crops(path: Path, frames: np.ndarray, fps: int, quantiser: int = QUANTISER) -> None:
    """Write mouth crops to a file atomically; arguments as :func:`encode_crops`."""
    with atomic_write(path) as part:
        part.write_bytes(encode_crops(frames, fps, quantiser))


def read_crops(path: Path, start_frame: int = 0, num_frames: int | None = None) -> np.ndarray:
    """Read stored mouth crops, or a segment of them.

    Args:
        path: of what :func:`encode_crops` made, a file or an entry of an archive (:mod:`v2skit.media.ark`).
        start_frame: index of the segment's first frame.
        num_frames: length of the segment; None: to the end.

    Returns:
        gray uint8 (T,H,W); fewer than ``num_frames`` where the file ends before.

    Raises:
        UserError: the file is missing or damaged, or has no frame in the segment.
    """
    images = []
    try:
        with open_input(open_location(path), "mp4") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            if not stream.average_rate:
                raise OSError("it has no frame rate")
            frames_per_unit = float(stream.average_rate * time_base(stream))
            if start_frame:
                container.seek(int(start_frame / frames_per_unit), stream=stream)
            for frame in container.decode(stream):
                assert frame.pts is not None, "MPEG-4 files state the time of each frame"
                index = round(frame.pts * frames_per_unit)
                if num_frames is not None and index >= start_frame + num_frames:
                    break
                if index >= start_frame:
                    images.append(luma(frame))
    except (av.FFmpegError, OSError, IndexError) as error:
        check_permission(split_location(path)[0])
        raise UserError(
            f"mouth crops {path} can't be read ({error}); prepare them again (stage 1 --force)", path=path
        ) from error
    if not images:
        raise UserError(
            f"mouth crops {path} hold no frames from {start_frame} on; prepare them again (stage 1 --force)", path=path
        )
    return np.stack(images)


def frame_of_luma(image: np.ndarray, pixel_format: str) -> av.VideoFrame:
    """A gray frame whose luma plane is an image, uint8 (H,W), without a conversion of its range.

    Args:
        image: H and W even.
        pixel_format: ``gray``, or one with the planes of ``yuv420p``.
    """
    if pixel_format == "gray":
        return av.VideoFrame.from_ndarray(image, format="gray")
    neutral_chroma = np.full((image.shape[0] // 2, image.shape[1]), 128, np.uint8)
    return av.VideoFrame.from_ndarray(np.vstack([image, neutral_chroma]), format=pixel_format)


def luma(frame: av.VideoFrame) -> np.ndarray:
    """The luma plane of a frame as stored, uint8 (H,W), a view; ``to_ndarray`` takes a third as long as decoding."""
    plane: Any = frame.planes[0]  # its type does not say that it is a buffer
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
