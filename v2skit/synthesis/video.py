"""A video -> its speech, piece by piece: crop and clock are the model's, the code that of training's preparation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from v2skit.config.features import Clock
from v2skit.errors import UserError
from v2skit.media.container import probe
from v2skit.media.timestamps import resample_frames
from v2skit.media.video import Duration, read_video
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.system.prefetch import in_background
from v2skit.tracking.crop import MouthCrop, Track, mouth_crops
from v2skit.tracking.tracker import Tracker

FRAMES_AHEAD, CROPS_AHEAD = 16, 128
"""How far decoding is ahead of tracking, and tracking of the network."""

STRIP = 12
"""At least so many crops are kept of a clip, evenly, for pictures."""


class Clip:
    """A video on its way to speech.

    Args:
        frames: RGB uint8 (H,W,3), on the model's clock.
        span: told how long the video is, at the latest when its last frame comes.
        video: its file, or None.
        seconds: about how long it is, where that is known before.
    """

    def __init__(self, frames: Iterable[np.ndarray], span: Duration, video: Path | None, seconds: float | None) -> None:
        self.frames, self.span, self.video, self.seconds = frames, span, video, seconds

    @classmethod
    def of_file(cls, video: Path, clock: Clock) -> Clip:
        """Any container that PyAV reads, at any frame rate; its sound is never read. Raises UserError."""
        span = Duration()
        return cls(read_video(video, clock.fps, span), span, video, probe(video).seconds)

    @classmethod
    def of_array(cls, frames: np.ndarray, fps: float, clock: Clock) -> Clip:
        """RGB uint8 (T,H,W,3) at ``fps``. Raises UserError where that is something else."""
        if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or not frames.size:
            raise UserError(f"a video is uint8 (frames, height, width, 3), RGB, not {frames.dtype} {frames.shape}")
        if not 0.01 <= fps <= 1000:
            raise UserError(f"fps {fps} must lie in 0.01..1000")
        step = 1 / Fraction(fps).limit_denominator(100_000)
        timed = ((number * step, step, frame) for number, frame in enumerate(frames))
        return cls(resample_frames(timed, clock.fps), Duration(len(frames) * step), None, float(len(frames) * step))


class ClipSpeech:
    """The speech of one clip, in pieces; ``track`` and ``strip`` are whole once these are all taken.

    Args:
        synthesiser: a loaded model.
        clip: what is to be spoken.
        tracker: finds the mouth.
        speaker: what the model is told of who speaks.
        progress: told the seconds done and of how many, None where that is not known.
    """

    def __init__(
        self,
        synthesiser: Synthesiser,
        clip: Clip,
        tracker: Tracker,
        speaker: np.ndarray,
        progress: Callable[[float, float | None], None] | None = None,
    ) -> None:
        self.synthesiser, self.clip, self.tracker, self.speaker = synthesiser, clip, tracker, speaker
        self.progress = progress
        self.sample_rate = synthesiser.config.clock.sample_rate
        self._places: list = []
        self._strip: list[np.ndarray] = []
        self._every, self._begun = 1, False

    @property
    def track(self) -> Track:
        """Where the mouth was, so far."""
        return Track.of(self._places, self.synthesiser.config.clock.fps)

    @property
    def strip(self) -> np.ndarray:
        """Crops from all of the clip, evenly, gray uint8 (n,S,S)."""
        size = self.synthesiser.config.crop.size
        return np.stack(self._strip) if self._strip else np.zeros((0, size, size), np.uint8)

    def pieces(self) -> Iterator[np.ndarray]:
        """float32 (N,), together as long as the video to a sample; silent where there is no face for long.

        Raises:
            UserError: no video, damaged, or without a face.
        """
        if self._begun:
            raise UserError("these pieces are taken already; begin the video again")
        self._begun = True
        clock, crop = self.synthesiser.config.clock, self.synthesiser.config.crop
        frames = in_background(self.clip.frames, FRAMES_AHEAD)
        crops = mouth_crops(frames, self.tracker, crop, clock.fps, self.clip.video)
        crops = self._noted(in_background(crops, CROPS_AHEAD))
        samples, held = 0, np.zeros(0, np.float32)
        # Frames on the clock are up to half a one longer or shorter than the video.
        for piece in with_a_core_to_spare(spoken(self.synthesiser, crops, self.speaker)):
            held = np.concatenate([held, piece])
            ready = max(0, len(held) - clock.samples_per_frame)
            samples += ready
            yield held[:ready]
            held = held[ready:]
        if all(place.silent for place in self._places):
            raise UserError("no face in the video; show one from the front, or choose another tracker")
        missing = round(self.clip.span.seconds * clock.sample_rate) - samples
        yield np.pad(held, (0, max(0, missing - len(held))))[:missing]

    def _noted(self, crops: Iterable[MouthCrop]) -> Iterator[MouthCrop]:
        for crop in crops:
            self._note(crop)
            yield crop

    def _note(self, crop: MouthCrop) -> None:
        if len(self._places) % self._every == 0:
            self._strip.append(crop.picture)
            if len(self._strip) == 2 * STRIP:
                self._strip, self._every = self._strip[::2], 2 * self._every
        self._places.append(crop.box)
        if self.progress is not None:
            self.progress(len(self._places) / self.synthesiser.config.clock.fps, self.clip.seconds)


def with_a_core_to_spare(pieces: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """The same pieces, made with one thread less than the network may have: its threads wait for each other without
    rest, and would keep decoding and tracking, on which it waits, from the last core."""
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


def spoken(
    synthesiser: Synthesiser, crops: Iterable[MouthCrop], speaker: np.ndarray, chunk: int | None = None
) -> Iterator[np.ndarray]:
    """Crops -> waveforms, float32 (N,), whole frames of them as soon as they are known; silent where the crops are.

    Raises:
        UserError: with a ``chunk``, as :meth:`Synthesiser.start`.
    """
    speaking = synthesiser.start(speaker, chunk)
    silence = Silence(synthesiser.config.clock.samples_per_frame)
    for crop in crops:
        silence.push(crop.box.silent)
        piece = speaking.push(crop.picture[None])
        if len(piece):
            yield silence.apply(piece)
    rest = speaking.finish()
    if len(rest):
        yield silence.apply(rest)


class Silence:
    """Mutes a waveform in the frames without a face, fading out and in within a frame."""

    def __init__(self, samples_per_frame: int) -> None:
        self.samples_per_frame = samples_per_frame
        self._gains: list[float] = []
        self._gain: float | None = None  # at the end of the last frame

    def push(self, silent: bool) -> None:
        """Tell of the next frame."""
        self._gains.append(0.0 if silent else 1.0)

    def apply(self, piece: np.ndarray) -> np.ndarray:
        """The next samples (N,), whole frames that were told of -> those that are to be heard."""
        frames = len(piece) // self.samples_per_frame
        gains, self._gains = self._gains[:frames], self._gains[frames:]
        if not gains or (all(gains) and self._gain != 0):
            self._gain = gains[-1] if gains else self._gain
            return piece
        ends = np.array([gains[0] if self._gain is None else self._gain, *gains])
        ramp = np.arange(1, self.samples_per_frame + 1) / self.samples_per_frame
        self._gain = gains[-1]
        return piece * (ends[:-1, None] + np.diff(ends)[:, None] * ramp).ravel().astype(np.float32)
