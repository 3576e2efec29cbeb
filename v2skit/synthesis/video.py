"""Speech of a video, piece by piece, at the frame rate and from the mouth crops that the model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from v2skit.config.features import Clock
from v2skit.config.schema import Config
from v2skit.errors import UserError
from v2skit.media.container import probe
from v2skit.media.timestamps import resample_frames
from v2skit.media.video import Decoded, Duration, read_video
from v2skit.synthesis.lip_reading import LipReader
from v2skit.synthesis.pipeline import Pipeline
from v2skit.system.prefetch import in_background
from v2skit.text.timed import Reading
from v2skit.tracking.crop import NO_FACE, MouthCrop, Track, mouth_crops
from v2skit.tracking.tracker import Tracker

Progress = Callable[[float, float | None], None]
"""Called with the seconds processed and the total, which is None where it is unknown."""

DECODED_FRAMES, TRACKED_FRAMES = 16, 128
"""Frames that are decoded before they are tracked, and tracked before they are synthesised, at most; of large ones
fewer are decoded."""

PREVIEW_CROPS = 12
"""Of a video at least this many crops are kept, evenly spaced, for pictures."""


class Video:
    """A silent video at the model's frame rate.

    Args:
        frames: RGB uint8 (H,W,3).
        span: its exact length, set when the last frame has been read.
        path: its file, or None.
        seconds: its approximate length, None where it is unknown.
    """

    def __init__(self, frames: Iterable[np.ndarray], span: Duration, path: Path | None, seconds: float | None) -> None:
        self.frames, self.span, self.path, self.seconds = frames, span, path, seconds

    @classmethod
    def open(
        cls,
        source: str | Path | np.ndarray | torch.Tensor,
        fps: float | None,
        clock: Clock,
        decoded: Decoded | None = None,
    ) -> Video:
        """From a file, of which ``decoded`` counts the frames, or from frames at ``fps``. Raises UserError as
        :meth:`of_file` and :meth:`of_frames`."""
        if isinstance(source, (str, Path)):
            if fps is not None:
                raise UserError("fps is for frames; a file states its own")
            return cls.of_file(Path(source), clock, decoded)
        if fps is None:
            raise UserError("frames need their fps: synthesise(frames, fps=25)")
        return cls.of_frames(
            source.cpu().numpy() if isinstance(source, torch.Tensor) else np.asarray(source), fps, clock
        )

    @classmethod
    def of_file(cls, path: Path, clock: Clock, decoded: Decoded | None = None) -> Video:
        """Any container that PyAV reads, at any frame rate; its audio is never read. Raises UserError."""
        span = Duration()
        return cls(read_video(path, clock.fps, span, decoded), span, path, probe(path).seconds)

    @classmethod
    def of_frames(cls, frames: np.ndarray, fps: float, clock: Clock) -> Video:
        """RGB uint8 (T,H,W,3) at ``fps``. Raises UserError where shape, type or rate are wrong."""
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise UserError(f"a video is uint8 (frames, height, width, 3), RGB, not {frames.dtype} {frames.shape}")
        if not 0.01 <= fps <= 1000:
            raise UserError(f"fps {fps} must lie in 0.01..1000")
        step = 1 / Fraction(fps).limit_denominator(100_000)
        timed = ((number * step, step, frame) for number, frame in enumerate(frames))
        return cls(resample_frames(timed, clock.fps), Duration(len(frames) * step), None, float(len(frames) * step))


@dataclass(frozen=True)
class Speech:
    """Speech of a video.

    Args:
        waveform: float32 (N,), of exactly the video's length.
        sample_rate: Hz.
        track: the position of the mouth, and the frames without a face.
    """

    waveform: np.ndarray
    sample_rate: int
    track: Track


class SpeechPieces:
    """Speech of a video of any length: iterates over waveforms, float32 (N,), of exactly the video's length together,
    muted where no face is visible for long. ``track``, ``crops`` and ``readings``, what heads read, are complete after
    the last one.

    Args:
        video: silent, at the model's frame rate.
        tracker: of the mouth.
        pipeline: that synthesises it.
        config: of the model.
        progress: called for each frame.
        readers: heads that read the lips, by name.
        finished: called after the last waveform.

    Raises:
        UserError: while iterating, where there is no video, it is damaged, or no face is in it.
    """

    def __init__(
        self,
        video: Video,
        tracker: Tracker,
        pipeline: Pipeline,
        config: Config,
        progress: Progress | None = None,
        readers: Mapping[str, LipReader] | None = None,
        finished: Callable[[], None] = lambda: None,
    ) -> None:
        self._finished = finished
        self.video, self.tracker, self.pipeline, self.progress = video, tracker, pipeline, progress
        self.clock, self.crop, self._readers = config.clock, config.crop, readers or {}
        self.readings: dict[str, Reading] = {}
        self._places: list = []
        self._crops: list[np.ndarray] = []
        self._every, self._started = 1, False

    @property
    def track(self) -> Track:
        """The position of the mouth so far."""
        return Track.of(self._places, self.clock.fps)

    @property
    def crops(self) -> np.ndarray:
        """Evenly spaced crops of the video so far, gray uint8 (n,S,S)."""
        return np.stack(self._crops) if self._crops else np.zeros((0, self.crop.size, self.crop.size), np.uint8)

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._started:
            raise UserError("the pieces of this speech were read before; synthesise the video again")
        self._started = True
        frames = in_background(self.video.frames, DECODED_FRAMES)
        crops = mouth_crops(frames, self.tracker, self.crop, self.clock.fps, self.video.path)
        crops = self._observed(in_background(crops, TRACKED_FRAMES))
        samples, pending = 0, np.zeros(0, np.float32)
        # At the model's frame rate a video is up to half a frame longer or shorter: the last frame waits for its end.
        for piece in with_a_spare_core(self.pipeline.run(crops)):
            pending = np.concatenate([pending, piece])
            ready = max(0, len(pending) - self.clock.samples_per_frame)
            samples += ready
            yield pending[:ready]
            pending = pending[ready:]
        if all(place.silent for place in self._places):
            raise UserError(NO_FACE)
        self._finished()
        missing = round(self.video.span.seconds * self.clock.sample_rate) - samples
        self.readings = {head: reader.finish() for head, reader in self._readers.items()}
        yield np.pad(pending, (0, max(0, missing - len(pending))))[:missing]

    def _observed(self, crops: Iterable[MouthCrop]) -> Iterator[MouthCrop]:
        """The same crops; their places, some of their pictures and the progress are recorded."""
        for crop in crops:
            if len(self._places) % self._every == 0:
                self._crops.append(crop.picture)
                if len(self._crops) == 2 * PREVIEW_CROPS:
                    self._crops, self._every = self._crops[::2], 2 * self._every
            self._places.append(crop.box)
            for reader in self._readers.values():
                reader.push(crop.picture[None])
            if self.progress is not None:
                self.progress(len(self._places) / self.clock.fps, self.video.seconds)
            yield crop


def with_a_spare_core(pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same pieces, computed with one thread fewer than torch may use: its threads wait for each other actively, and
    would keep decoding and tracking, whose output they need, from the last core."""
    threads = torch.get_num_threads()
    while True:
        torch.set_num_threads(max(1, threads - 1))
        try:
            piece = next(pieces, None)
        finally:
            torch.set_num_threads(threads)
        if piece is None:
            return
        yield piece
