"""Media files of any container, opened and decoded through PyAV, with a check for damage and truncation.

Up to DAMAGE_LIMIT of a stream may fail to decode; more than that, or a file that was cut off, is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from v2skit.errors import UserError
from v2skit.media.faults import TOO_LARGE, raise_if_exhausted, readable
from v2skit.media.formats import MAX_PIXELS, open_input
from v2skit.media.mp4_tables import check_tables

DAMAGE_LIMIT = 0.05
"""Share of a stream's packets that may fail to decode, and of its stated duration that may be missing."""

FORMATS_WITHOUT_DURATION = {"mp3", "aac", "ac3", "mpeg", "mpegts", "mpegvideo", "h264", "hevc"}
"""Formats without a duration in their header: what FFmpeg reports is its estimate."""

COMMON_PIXELS = 4096 * 2304
"""Pixels of a frame, up to which the frame size may grow within a video."""

FORMATS_WITH_END_TIME = {"matroska,webm", "flv"}
"""Formats that state only the time at which the longest stream ends, which FFmpeg reports as the duration."""

MAX_FRAME_RATE = 500
"""Frames a second; a larger guess of FFmpeg's is the tick rate of the file's clock, not a frame rate."""


@dataclass(frozen=True)
class MediaInfo:
    """What a media file contains.

    Args:
        fps: frames a second; None without a video stream.
        start: presentation time of the first video frame, seconds.
        has_audio: whether there is an audio stream.
        seconds: approximate duration; None where the header does not state it.
        pixels: of a video frame; 0 without a video stream.
    """

    fps: float | None
    start: float
    has_audio: bool
    seconds: float | None = None
    pixels: int = 0


def probe(path: Path) -> MediaInfo:
    """What a file contains, from its header and its first video frame.

    Raises:
        UserError: it is no media file.
    """
    with open_container(path) as container:
        video = find_video_stream(container)
        seconds = stated_seconds(container)
        if video is None:
            return MediaInfo(None, 0.0, bool(container.streams.audio), seconds)
        # The header states the time of the first packet, which may lack the key frame that decoding it needs.
        first = next(decode_stream(container, video, path), None)
        start = 0.0 if first is None or first.time is None else first.time
        _require_decoder(video, path)
        pixels = video.codec_context.width * video.codec_context.height
        return MediaInfo(float(frame_rate(video)), start, bool(container.streams.audio), seconds, pixels)


def stated_seconds(container: av.container.InputContainer) -> float | None:
    """The approximate duration of a file; None where its header does not state it."""
    if not container.duration:
        return None
    start = (container.start_time or 0) if container.format.name == "matroska,webm" else 0  # it states the end
    return max(0, container.duration - start) / av.time_base


@contextmanager
def open_container(path: Path) -> Iterator[av.container.InputContainer]:
    """Open a media file for demuxing.

    Raises:
        UserError: there is no such file, it is no media file, or its format is not one of
            :data:`v2skit.media.formats.FORMATS`.
        ResourcesExhaustedError: the process lacks memory or file handles.
    """
    if not path.is_file():
        raise UserError.about(path, "does not exist or is no file; check the path")
    if not path.stat().st_size:
        raise UserError.about(path, "is empty; fetch or record it again")
    try:
        check_tables(path)
        container = open_input(path)
    except PermissionError as error:
        raise UserError.about(path, f"can't be read ({error.strerror}); change its permissions") from error
    except av.ArgumentError as error:
        raise UserError.about(
            path, "is a playlist, or of a format that is not read; convert it to MP4 (audio: to WAV or FLAC)"
        ) from error
    except (av.FFmpegError, OSError) as error:
        raise_if_exhausted(error, path)
        raise UserError.about(path, f"is no media file, or is damaged ({error.strerror}); fetch it again") from error
    with container:
        yield container


def find_video_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first video stream that is not the cover picture of an audio file; None where there is none."""
    return next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)


def require_video_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The video stream of a file, to be decoded by one thread.

    Raises:
        UserError: the file has none, or one with too large frames.
    """
    stream = find_video_stream(container)
    if stream is None:
        raise UserError.about(path, "has no video stream; give a file with video")
    _require_decoder(stream, path)
    if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
        raise UserError.about(path, TOO_LARGE)
    stream.codec_context.thread_count = 1
    # A stream may change its frame size: small frames announced by the header must not become huge ones.
    limit = max(COMMON_PIXELS, stream.codec_context.width * stream.codec_context.height)
    stream.codec_context.options = {"max_pixels": str(limit)}
    return stream


def require_audio_stream(container: av.container.InputContainer, path: Path) -> av.AudioStream:
    """The first audio stream of a file.

    Raises:
        UserError: the file has none.
    """
    if not container.streams.audio:
        raise UserError.about(path, "has no audio stream; give a file with audio")
    _require_decoder(container.streams.audio[0], path)
    return container.streams.audio[0]


def _require_decoder(stream: av.VideoStream | av.AudioStream, path: Path) -> None:
    context: Any = stream.codec_context  # None where FFmpeg has no decoder
    if context is None:
        remedy = "convert it first: ffmpeg -i VIDEO -c:v libx264 CONVERTED.mp4"
        raise UserError.about(path, f"has {stream.type} in a format that can't be decoded; {remedy}")


def time_base(stream: av.VideoStream | av.AudioStream) -> Fraction:
    """Unit of a stream's timestamps, seconds.

    Raises:
        UserError: the stream states none.
    """
    if stream.time_base is None:
        raise UserError("a stream of the file has no time base; convert the file, or record it again")
    return stream.time_base


def frame_rate(stream: av.VideoStream) -> Fraction:
    """Frames a second: as stated, else as FFmpeg guesses, else 25."""
    if stream.average_rate:
        return stream.average_rate
    return stream.guessed_rate if stream.guessed_rate and stream.guessed_rate < MAX_FRAME_RATE else Fraction(25)


def decode_stream(
    container: av.container.InputContainer, stream: av.VideoStream | av.AudioStream, path: Path
) -> Iterator[Any]:
    """The frames of one stream, in presentation order.

    All packets of the file are demuxed, for the time that any stream reaches says whether the file is whole.

    Args:
        container: the opened file.
        stream: one of its streams.
        path: of the file, for messages.

    Yields:
        ``av.VideoFrame`` or ``av.AudioFrame``, as the stream.

    Raises:
        UserError: after the last frame that can be decoded, where the file is damaged beyond DAMAGE_LIMIT or cut off.
    """
    packets, damaged, last_time, cut_off = 0, 0, 0.0, False
    counted, shown = 0.0, 0.0  # seconds
    first: float | None = None
    with readable(path):
        for packet in container.demux():
            last_time = max(last_time, _end_of(packet))
            if packet.stream.index != stream.index:
                continue
            packets += packet.size > 0
            cut_off = packet.is_corrupt or (cut_off and not packet.size)
            try:
                frames: list[Any] = packet.decode()  # all of the stream's kind
            except av.InvalidDataError:
                damaged += 1
                continue
            for frame in frames:
                damaged += frame.is_corrupt
                cut_off = cut_off or frame.is_corrupt
                if stream.type == "audio":
                    step = frame.samples / frame.sample_rate
                    counted += step
                else:
                    step = float(1 / frame_rate(stream))
                    counted += step if stream.average_rate else 0.0  # Matroska need not state a rate
                if frame.time is not None:
                    first = frame.time if first is None else first
                    shown = frame.time - first + step
                yield frame
    # Either may be too short: the frame rate may be variable, and frames may lack timestamps.
    seconds = max(counted, shown)
    is_stated = container.format.name not in FORMATS_WITHOUT_DURATION
    ends = container.format.name in FORMATS_WITH_END_TIME
    stated = float((stream.duration or 0) * time_base(stream)) if is_stated and not ends else 0.0
    whole = (container.duration or 0) / av.time_base if is_stated else 0.0
    if not ends:
        last_time -= (container.start_time or 0) / av.time_base
    step = float(1 / frame_rate(stream)) if isinstance(stream, av.VideoStream) else 0.0
    if cut_off or seconds < _tolerated(stated, step) or last_time < _tolerated(whole, step):
        stated = stated or whole
        wanted = f" of {stated:.2f} s" if stated else ""
        raise UserError.about(path, f"is cut off: {seconds:.2f} s{wanted} can be decoded; fetch or record it again")
    if damaged > packets * DAMAGE_LIMIT:
        raise UserError.about(
            path, f"is damaged: {damaged} of {packets} packets fail to decode; fetch or record it again"
        )


def _end_of(packet: av.Packet) -> float:
    """Time at which a packet is no longer presented, seconds; 0 where the container does not state one.

    With B frames, decoding times lag behind presentation times by some frames, which is long at a low frame rate.
    """
    stated = [time for time in (packet.pts, packet.dts) if time is not None]
    return float((max(stated) + (packet.duration or 0)) * packet.time_base) if stated and packet.time_base else 0.0


def _tolerated(stated_seconds: float, step: float) -> float:
    """The shortest duration, seconds, that is accepted where a header states this one and frames last ``step`` seconds:
    in AVI and WMV the last frame lacks a duration, and repeated frames have no packet."""
    return stated_seconds * (1 - DAMAGE_LIMIT) - max(0.1, 2 * step)
