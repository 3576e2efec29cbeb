"""The audio stream of any container: decoded, mixed down to mono and resampled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np

from v2skit.errors import UserError
from v2skit.media.container import decode_stream, open_container, require_audio_stream, time_base
from v2skit.media.faults import readable
from v2skit.media.timestamps import MAX_STEP_SECONDS, REORDERED_FRAMES, with_following

PREROLL_SECONDS = 1.0
"""Decoding begins so long before a segment, since the decoders of compressed audio need a pre-roll."""


MAX_SECONDS = 6 * 3600
"""Longest audio that is decoded into memory; a small file may hold days of silence."""

TOO_LONG = f"is longer than {MAX_SECONDS // 3600} h; cut it into parts"

GAP_SECONDS = 0.05
"""Where audio begins later than what precedes it ends, by more than this, some was lost in recording or transmission.
Less is the precision of some containers' times."""


def decode_audio(
    path: Path, sample_rate: int, start_seconds: float | None = None, notes: list[str] | None = None
) -> np.ndarray:
    """The whole audio of a video or audio file, with zeros where there is none, so that what follows is in time.

    Args:
        path: any container.
        sample_rate: of the result, Hz.
        start_seconds: presentation time of sample 0: audio before it is cut off, and zeros fill the time from it to
            the first audio. None: that of the first audio.
        notes: to which is added what was changed.

    Returns:
        float32 (N,), the mean of the channels.

    Raises:
        UserError: no media file, no audio in it, damaged or cut off, longer than MAX_SECONDS, or with a gap of more
            than MAX_STEP_SECONDS.
    """
    with open_container(path) as container, readable(path):
        stream = require_audio_stream(container, path)
        timeline, decoded = _Timeline(path), _Waveform(sample_rate)
        try:
            for gap, frame in timeline.place(decode_stream(container, stream, path)):
                decoded.add(frame, gap)
            waveform, first = decoded.finish(), timeline.first
        except ValueError as error:
            raise UserError.about(
                path, f"changes its audio format midway ({error}); convert it to WAV or FLAC"
            ) from error
    if not len(waveform):
        raise UserError.about(path, "has an audio stream without samples; fetch or record it again")
    _note_gaps(timeline, notes)
    if first is not None and start_seconds is not None and first - start_seconds > MAX_SECONDS:
        raise UserError.about(path, f"has audio that begins {first - start_seconds:.0f} s after its video; convert it")
    skipped = 0 if start_seconds is None or first is None else round((start_seconds - first) * sample_rate)
    return waveform[skipped:] if skipped >= 0 else np.pad(waveform, (-skipped, 0))


def decode_audio_segment(
    path: Path, sample_rate: int, start_seconds: float, end_seconds: float | None, notes: list[str] | None = None
) -> np.ndarray:
    """A segment of an audio file, as :func:`decode_audio`; the decoder seeks to it.

    Args:
        path: any container.
        sample_rate: of the result, Hz.
        start_seconds: start of the segment, from the first audio.
        end_seconds: its end, likewise; None: the end of the file.
        notes: to which is added what was changed.

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
        timeline, decoded = _Timeline(path), _Waveform(sample_rate)
        try:
            timed = (frame for frame in container.decode(stream) if frame.time is not None)
            for gap, frame in timeline.place(timed):
                decoded.add(frame, gap)
                at = (timeline.first or 0.0) - begin + timeline.seconds - frame.samples / frame.sample_rate
                if end_seconds is not None and at > end_seconds:
                    break
            waveform = decoded.finish()
        except (av.FFmpegError, ValueError) as error:
            raise UserError.about(
                path, f"can't be read around {start_seconds:.1f} s ({error}); fetch it again"
            ) from error
    _note_gaps(timeline, notes)
    first = 0.0 if timeline.first is None else timeline.first - begin
    last = None if end_seconds is None else round((end_seconds - first) * sample_rate)
    segment = waveform[max(0, round((start_seconds - first) * sample_rate)) : last].astype(np.float32, copy=False)
    if not len(segment):
        raise UserError.about(
            path, f"has no audio from {start_seconds:.1f} s on; correct the times that its transcript states"
        )
    return segment


def exceeds(path: Path, seconds: float) -> bool:
    """Whether the audio, with its gaps, is longer, by decoding it without keeping it. Raises UserError as
    :func:`decode_audio`."""
    with open_container(path) as container:
        timeline = _Timeline(path)
        frames = decode_stream(container, require_audio_stream(container, path), path)
        return any(timeline.seconds > seconds for _ in timeline.place(frames))


def _note_gaps(timeline: _Timeline, notes: list[str] | None) -> None:
    if notes is not None and timeline.gaps:
        notes.append(f"gaps of {timeline.gaps:.2f} s in the audio, filled with zeros")


class _Timeline:
    """When decoded frames are heard.

    Args:
        path: of their file, for messages.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first: float | None = None
        """Presentation time of the first sample, seconds; None where the file states no time."""
        self.seconds = 0.0
        """Of the frames so far, with the gaps."""
        self.gaps = 0.0
        """Of the gaps alone."""

    def place(self, frames: Iterable[av.AudioFrame]) -> Iterator[tuple[float, av.AudioFrame]]:
        """The frames, each with the length of the gap before it, seconds. A gap is one for the frames that follow, too:
        a single time that is late, or one that is early, is wrong.

        Raises:
            UserError: a gap of more than MAX_STEP_SECONDS, or longer than MAX_SECONDS, before memory is filled.
        """
        for frame, following in with_following(frames, REORDERED_FRAMES):
            if self.first is None and frame.time is not None:
                self.first = frame.time - self.seconds
            gap = self._gap((frame, *following))
            if gap > MAX_STEP_SECONDS:
                at = f"{gap:.0f} s at {self.seconds:.2f} s, more than {MAX_STEP_SECONDS} s"
                raise UserError.about(self.path, f"has audio times that jump by {at}; record it again, or convert it")
            self.gaps += gap
            self.seconds += gap + frame.samples / frame.sample_rate
            if self.seconds > MAX_SECONDS:
                raise UserError.about(self.path, TOO_LONG)
            yield gap, frame

    def _gap(self, frames: tuple[av.AudioFrame, ...]) -> float:
        """Before the first of these frames; 0 where there is none."""
        end, found = self.seconds, float("inf")
        for frame in frames:
            if self.first is not None and frame.time is not None:
                found = min(found, frame.time - self.first - end)
                if found <= GAP_SECONDS:
                    return 0.0
            end += frame.samples / frame.sample_rate
        return found if found < float("inf") else 0.0


class _Waveform:
    """Mono audio at one rate, made of decoded frames.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate, self._seconds = sample_rate, 0.0
        self._chunks: list[np.ndarray] = []
        self._start()

    def add(self, frame: av.AudioFrame, gap: float) -> None:
        """Append zeros for a gap, seconds, and a frame."""
        if gap:
            self._resample(None)  # it buffers samples, and accepts no frames after that
            self._start()
            zeros = round((self._seconds + gap) * self.sample_rate) - sum(map(len, self._chunks))
            self._chunks.append(np.zeros(max(0, zeros), np.float32))
        self._seconds += gap + frame.samples / frame.sample_rate
        self._resample(frame)

    def finish(self) -> np.ndarray:
        """float32 (N,), the mean of the channels."""
        if self._chunks:
            self._resample(None)
        return np.concatenate([*self._chunks, np.zeros(0, np.float32)]).astype(np.float32, copy=False)

    def _start(self) -> None:
        self._resampler = av.AudioResampler(format="fltp", rate=self.sample_rate)

    def _resample(self, frame: av.AudioFrame | None) -> None:
        self._chunks += [resampled.to_ndarray().mean(0) for resampled in self._resampler.resample(frame)]
