"""The audio stream of any container: decoded, mixed down to mono and resampled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np

from v2skit.errors import UserError
from v2skit.media.container import decode_stream, open_container, require_audio_stream, time_base
from v2skit.media.faults import readable

PREROLL_SECONDS = 1.0
"""Decoding begins so long before a segment, since the decoders of compressed audio need a pre-roll."""


MAX_SECONDS = 6 * 3600
"""Longest audio that is decoded into memory; a small file may hold days of silence."""

TOO_LONG = f"is longer than {MAX_SECONDS // 3600} h; cut it into parts"


def decode_audio(path: Path, sample_rate: int, start_seconds: float | None = None) -> np.ndarray:
    """The whole audio of a video or audio file.

    Args:
        path: any container.
        sample_rate: of the result, Hz.
        start_seconds: presentation time of sample 0: audio before it is cut off, and zeros fill the time from it to
            the first audio. None: that of the first audio.

    Returns:
        float32 (N,), the mean of the channels.

    Raises:
        UserError: no media file, no audio in it, damaged or cut off, or longer than MAX_SECONDS.
    """
    with open_container(path) as container, readable(path):
        stream = require_audio_stream(container, path)
        resampler, first, chunks = av.AudioResampler(format="fltp", rate=sample_rate), None, []
        try:
            for frame in _up_to_limit(decode_stream(container, stream, path), path):
                first = frame.time if first is None else first
                chunks += _mono(resampler, frame)
            chunks += _mono(resampler, None) if chunks else []
        except ValueError as error:
            raise UserError.about(
                path, f"changes its audio format midway ({error}); convert it to WAV or FLAC"
            ) from error
    if not chunks:
        raise UserError.about(path, "has an audio stream without samples; fetch or record it again")
    waveform = np.concatenate(chunks).astype(np.float32, copy=False)
    if first is not None and start_seconds is not None and first - start_seconds > MAX_SECONDS:
        raise UserError.about(path, f"has audio that begins {first - start_seconds:.0f} s after its video; convert it")
    skipped = 0 if start_seconds is None or first is None else round((start_seconds - first) * sample_rate)
    return waveform[skipped:] if skipped >= 0 else np.pad(waveform, (-skipped, 0))


def decode_audio_segment(path: Path, sample_rate: int, start_seconds: float, end_seconds: float | None) -> np.ndarray:
    """A segment of an audio file; the decoder seeks to it.

    Args:
        path: any container.
        sample_rate: of the result, Hz.
        start_seconds: start of the segment, from the first audio.
        end_seconds: its end, likewise; None: the end of the file.

    Returns:
        float32 (N,), the mean of the channels.

    Raises:
        UserError: no media file, no audio in the segment, or damaged.
    """
    with open_container(path) as container:
        stream = require_audio_stream(container, path)
        begin = float((stream.start_time or 0) * time_base(stream))
        if start_seconds > PREROLL_SECONDS:
            container.seek(round((begin + start_seconds - PREROLL_SECONDS) / time_base(stream)), stream=stream)
        resampler, first, chunks = av.AudioResampler(format="fltp", rate=sample_rate), None, []
        try:
            for frame in _up_to_limit(container.decode(stream), path):
                if frame.time is None:
                    continue
                first = frame.time - begin if first is None else first
                chunks += _mono(resampler, frame)
                if end_seconds is not None and frame.time - begin > end_seconds:
                    break
            chunks += _mono(resampler, None) if chunks else []
        except (av.FFmpegError, ValueError) as error:
            raise UserError.about(
                path, f"can't be read around {start_seconds:.1f} s ({error}); fetch it again"
            ) from error
    waveform = np.concatenate(chunks) if chunks else np.zeros(0, np.float32)
    first = 0.0 if first is None else first
    last = None if end_seconds is None else round((end_seconds - first) * sample_rate)
    segment = waveform[max(0, round((start_seconds - first) * sample_rate)) : last].astype(np.float32, copy=False)
    if not len(segment):
        raise UserError.about(
            path, f"has no audio from {start_seconds:.1f} s on; correct the times that its transcript states"
        )
    return segment


def exceeds(path: Path, seconds: float) -> bool:
    """Whether the audio is longer, by decoding it without keeping it. Raises UserError as :func:`decode_audio`."""
    with open_container(path) as container:
        decoded = 0.0
        for frame in decode_stream(container, require_audio_stream(container, path), path):
            decoded += frame.samples / frame.sample_rate
            if decoded > seconds:
                return True
    return False


def _up_to_limit(frames: Iterable[av.AudioFrame], path: Path) -> Iterator[av.AudioFrame]:
    """The same frames. Raises UserError where they are longer than MAX_SECONDS, before memory is filled."""
    seconds = 0.0
    for frame in frames:
        seconds += frame.samples / frame.sample_rate
        if seconds > MAX_SECONDS:
            raise UserError.about(path, TOO_LONG)
        yield frame


def _mono(resampler: av.AudioResampler, frame: av.AudioFrame | None) -> list[np.ndarray]:
    """What the resampler makes of a frame, or (None) of what it still buffers: waveforms (N,)."""
    return [resampled.to_ndarray().mean(0) for resampled in resampler.resample(frame)]
