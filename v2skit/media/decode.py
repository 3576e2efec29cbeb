"""Video and sound of any container, in presentation time. Damage of up to DAMAGE_LIMIT of a stream is passed over;
more of it, or a file that was cut off, is an error."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import av
import numpy as np
from av.stream import Disposition

from v2skit.errors import UserError

DAMAGE_LIMIT = 0.05
"""Share of a stream's packets that may fail to decode, and of its stated length that may be missing."""

UNSTATED_LENGTH = {"mp3", "aac", "ac3", "mpeg", "mpegts", "mpegvideo", "h264", "hevc"}
"""Formats without a length in their header: what FFmpeg tells is its estimate."""

SEEK_SECONDS = 1.0
"""Decoding begins so long before a part that is wanted, since compressed sound needs a run-up."""

MAX_RATE = 500
"""Frames a second; a larger guess is none."""

LOOK_AHEAD = 8
"""Frames within which a wrong time shows: times must grow, so one that is later than one that follows is wrong."""

Picture = TypeVar("Picture")


@dataclass(frozen=True)
class MediaInfo:
    """What a file holds. ``fps``: frames a second, None without a video; ``start``: of its first frame, seconds;
    ``seconds``: about how long it is, None where its header does not say."""

    fps: float | None
    start: float
    has_audio: bool
    seconds: float | None = None


def probe(path: Path) -> MediaInfo:
    """What a file holds, from its header and its first frame. Raises UserError where it is no media file."""
    with opened(path) as container:
        video = video_stream(container)
        seconds = container.duration / av.time_base if container.duration else None
        if video is None:
            return MediaInfo(None, 0.0, bool(container.streams.audio), seconds)
        # The header's start is that of the first packet, which is no picture where a recording was cut into.
        first = next(_decoded(container, video, path), None)
        start = 0.0 if first is None or first.time is None else first.time
        return MediaInfo(float(_rate(video)), start, bool(container.streams.audio), seconds)


@dataclass
class Span:
    """From the first frame's time to the last one's end, seconds; known once a video has been read."""

    seconds: Fraction = Fraction(0)


def read_video(path: Path, fps: int, span: Span | None = None) -> Iterator[np.ndarray]:
    """Frames on the clock, upright, RGB uint8 (H,W,3), one by one.

    Frame t is the one whose time is nearest to ``first + t / fps``; there are ``round(seconds * fps)`` of them, and
    ``span`` is told the seconds.

    Raises:
        UserError: no media file, no video in it, no frames, damaged or cut off.
    """
    with opened(path) as container:
        stream = video_in(container, path)
        shown = 0
        for frame in on_clock(_measured(timed(_decoded(container, stream, path), stream), span or Span()), fps):
            shown += 1
            yield _upright(frame)
        if not shown:
            raise UserError.about(path, "has a video stream without frames; fetch or record it again")


def timed_frames(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """All frames as they are: time, seconds, and upright RGB uint8 (H,W,3). Raises UserError as :func:`read_video`."""
    with opened(path) as container:
        stream = video_in(container, path)
        for time, _, frame in timed(_decoded(container, stream, path), stream):
            yield float(time), _upright(frame)


def video_in(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The video of a file. Raises UserError where it has none."""
    stream = video_stream(container)
    if stream is None:
        raise UserError.about(path, "has no video stream; give a file with a picture")
    stream.codec_context.thread_count = 1
    return stream


def _upright(frame: av.VideoFrame) -> np.ndarray:
    picture = frame.to_ndarray(format="rgb24")
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")  # a buffer
    if matrix is not None:
        a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].astype(float)
        if a * d < b * c:  # mirrored, as front cameras may ask for
            picture = picture[::-1]
    return np.rot90(picture, round(frame.rotation / 90)) if frame.rotation else picture


def read_audio(path: Path, sample_rate: int, start: float | None = None) -> np.ndarray:
    """Sound of a video or audio file: float32 (N,), the mean of its channels, at ``sample_rate``.

    Args:
        path: any container.
        sample_rate: Hz.
        start: time that becomes sample 0, seconds: sound before it is cut off, and silence fills the time from it to
            the first sound. None: the first sound.

    Raises:
        UserError: no media file, no sound in it, damaged or cut off.
    """
    with opened(path) as container:
        if not container.streams.audio:
            raise UserError.about(path, "has no audio stream; give a file with sound")
        stream = container.streams.audio[0]
        resampler, first, pieces = av.AudioResampler(format="fltp", rate=sample_rate), None, []
        try:
            for frame in _decoded(container, stream, path):
                first = frame.time if first is None else first
                pieces += [piece.to_ndarray().mean(0) for piece in resampler.resample(frame)]
            pieces += [piece.to_ndarray().mean(0) for piece in resampler.resample(None)] if pieces else []
        except ValueError as error:
            raise UserError.about(
                path, f"changes its sound format midway ({error}); convert it to WAV or FLAC"
            ) from error
    if not pieces:
        raise UserError.about(path, "has an audio stream without sound; fetch or record it again")
    waveform = np.concatenate(pieces).astype(np.float32, copy=False)
    skipped = 0 if start is None or first is None else round((start - first) * sample_rate)
    return waveform[skipped:] if skipped >= 0 else np.pad(waveform, (-skipped, 0))


def read_span(path: Path, sample_rate: int, start: float, end: float | None) -> np.ndarray:
    """A part of a sound file, by seeking: float32 (N,), the mean of its channels, at ``sample_rate``.

    Args:
        path: any container.
        sample_rate: Hz.
        start: where the part begins, seconds from the first sound.
        end: where it ends; None: with the file.

    Raises:
        UserError: no media file, no sound there, or damaged.
    """
    with opened(path) as container:
        if not container.streams.audio:
            raise UserError.about(path, "has no audio stream; give a file with sound")
        stream = container.streams.audio[0]
        begin = float((stream.start_time or 0) * tick_of(stream))
        if start > SEEK_SECONDS:
            container.seek(round((begin + start - SEEK_SECONDS) / tick_of(stream)), stream=stream)
        resampler, first, pieces = av.AudioResampler(format="fltp", rate=sample_rate), None, []
        try:
            for frame in container.decode(stream):
                if frame.time is None:
                    continue
                first = frame.time - begin if first is None else first
                pieces += [piece.to_ndarray().mean(0) for piece in resampler.resample(frame)]
                if end is not None and frame.time - begin > end:
                    break
            pieces += [piece.to_ndarray().mean(0) for piece in resampler.resample(None)] if pieces else []
        except (av.FFmpegError, ValueError) as error:
            raise UserError.about(path, f"can't be read around {start:.1f} s ({error}); fetch it again") from error
    sound = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
    first = 0.0 if first is None else first
    last = None if end is None else round((end - first) * sample_rate)
    sound = sound[max(0, round((start - first) * sample_rate)) : last].astype(np.float32, copy=False)
    if not len(sound):
        raise UserError.about(path, f"has no sound from {start:.1f} s on; see to the times that its transcript states")
    return sound


def on_clock(frames: Iterable[tuple[Fraction, Fraction, Picture]], fps: int) -> Iterator[Picture]:
    """``(time, duration, picture)``, in seconds, of any frame rate -> the picture nearest to each ``t / fps``.

    The first picture is at t = 0; the number of pictures is the whole duration times ``fps``, rounded, at least one.
    """
    ticks, first, before, end = 0, None, Fraction(0), Fraction(0)
    held: list[Picture] = []
    latest: list[Picture] = []
    for time, duration, picture in frames:
        first = time if first is None else first
        while (ticks and Fraction(ticks, fps) < (before + time) / 2 - first) or (not ticks and time > first):
            # One picture is held back: whether the video is long enough for it shows with its last frame.
            yield from held
            held, ticks = latest, ticks + 1
        before, end, latest = time, time + duration, [picture]
    length = 0 if first is None else max(1, round((end - first) * fps))
    while ticks < length:
        yield from held
        held, ticks = latest, ticks + 1
    if ticks <= length:
        yield from held


def timed(
    frames: Iterable[av.VideoFrame], stream: av.VideoStream
) -> Iterator[tuple[Fraction, Fraction, av.VideoFrame]]:
    """Times and durations in seconds; frames without a time, or with a wrong one, follow on directly."""
    time: Fraction | None = None
    duration = Fraction(0)
    for frame, later in _with_following(frames, LOOK_AHEAD):
        right = frame.pts is not None and all(frame.pts < f.pts for f in later if f.pts is not None)
        stated = frame.pts * tick_of(stream) if right and frame.pts is not None else None
        follows = Fraction(0) if time is None else time + duration
        time = follows if stated is None or (time is not None and stated <= time) else stated
        duration = frame.duration * tick_of(stream) if frame.duration else Fraction(1 / _rate(stream))
        yield time, duration, frame


def _measured(
    frames: Iterable[tuple[Fraction, Fraction, Picture]], span: Span
) -> Iterator[tuple[Fraction, Fraction, Picture]]:
    first = None
    for time, duration, picture in frames:
        first = time if first is None else first
        span.seconds = time + duration - first
        yield time, duration, picture


def _with_following(frames: Iterable[Picture], count: int) -> Iterator[tuple[Picture, deque[Picture]]]:
    """Each frame, and up to ``count`` that follow it."""
    waiting: deque[Picture] = deque()
    for frame in frames:
        waiting.append(frame)
        if len(waiting) > count:
            yield waiting.popleft(), waiting
    while waiting:
        yield waiting.popleft(), waiting


def tick_of(stream: av.VideoStream | av.AudioStream) -> Fraction:
    """Seconds of a tick, in which a stream counts its times. Raises UserError where it states none."""
    if stream.time_base is None:
        raise UserError("a stream of the file has no time base; convert the file, or record it again")
    return stream.time_base


def _decoded(container: av.container.InputContainer, stream: av.VideoStream | av.AudioStream, path: Path) -> Iterator:
    packets, damaged, seconds, reached, cut_off = 0, 0, 0.0, 0.0, False
    try:
        for packet in container.demux():
            if packet.dts is not None:
                reached = max(reached, float((packet.dts + (packet.duration or 0)) * packet.time_base))
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
                    seconds += frame.samples / frame.sample_rate
                elif stream.average_rate:
                    seconds += 1 / stream.average_rate
                else:  # Matroska need not state a rate; times are all there is
                    seconds = float((frame.pts or 0) * tick_of(stream) + 1 / _rate(stream))
                yield frame
    except av.FFmpegError as error:
        raise UserError.about(path, f"is damaged or cut off ({error.strerror}); fetch or record it again") from error
    is_stated = container.format.name not in UNSTATED_LENGTH
    stated = float((stream.duration or 0) * tick_of(stream)) if is_stated else 0.0
    # Matroska states only the length of the whole; any stream may be the one that lasts so long.
    whole = (container.duration or 0) / av.time_base if is_stated else 0.0
    if container.format.name != "matroska,webm":  # its length is the time of the end
        reached -= (container.start_time or 0) / av.time_base
    if cut_off or seconds < _least(stated) or reached < _least(whole):
        stated = stated or whole
        wanted = f" of {stated:.2f} s" if stated else ""
        raise UserError.about(
            path, f"is cut off: {float(seconds):.2f} s{wanted} can be decoded; fetch or record it again"
        )
    if damaged > packets * DAMAGE_LIMIT:
        raise UserError.about(
            path, f"is damaged: {damaged} of {packets} packets fail to decode; fetch or record it again"
        )


def _least(stated_seconds: float) -> float:
    """How much of a stated length must be there."""
    return stated_seconds * (1 - DAMAGE_LIMIT) - 0.1


def video_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first video stream that is not the cover picture of a sound file."""
    return next((s for s in container.streams.video if not s.disposition & Disposition.attached_pic), None)


def _rate(stream: av.VideoStream) -> Fraction:
    """Frames a second. Where none is stated, the guess may be the ticks of the file's clock, 1000 a second."""
    if stream.average_rate:
        return stream.average_rate
    return stream.guessed_rate if stream.guessed_rate and stream.guessed_rate < MAX_RATE else Fraction(25)


@contextmanager
def opened(path: Path) -> Iterator[av.container.InputContainer]:
    """A media file. Raises UserError where it is none."""
    if not path.is_file():
        raise UserError.about(path, "does not exist or is no file; check the path")
    if not path.stat().st_size:
        raise UserError.about(path, "is empty; fetch or record it again")
    try:
        container = av.open(str(path))
    except PermissionError as error:
        raise UserError.about(path, f"can't be read: {error.strerror}") from error
    except (av.FFmpegError, OSError) as error:
        raise UserError.about(path, f"is no media file, or is damaged ({error.strerror}); fetch it again") from error
    with container:
        yield container
