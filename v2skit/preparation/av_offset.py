"""Delay of the audio against the video, measured over many clips, since a single clip is not enough."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2skit.config.features import Clock
from v2skit.media.audio import read_audio
from v2skit.media.crops import read_crops
from v2skit.signal.delay import peaks

MAX_FRAMES = 12
"""Largest offset that is searched, video frames."""

STEPS = 4
"""Lags per video frame; with whole frames, the parabola through the peak errs by up to 0.08 frames."""

LONGEST_FRAMES = 250
"""Longest part of a clip that is used."""

RESAMPLES = 1000
FEWEST_CLIPS, WIDEST = 5, 2.0
"""Limits of a valid measurement: clips, and width of the 95 % interval, frames."""

BANDS, LOWEST_BIN, LEVEL_RANGE_DB = 8, 4, 50.0
"""Bands of the audio, equal on a logarithmic scale, from this bin of a spectrum of one video frame (100 Hz at 25
frames/s) on; and their dynamic range."""
MOUTH, CELL = (slice(0.25, 0.9), slice(0.15, 0.85)), 1 / 24
"""Rows and columns of the mouth in a crop, and the cells that are averaged, as shares of its side."""

COMPONENTS, FOLDS, RIDGE = 12, 5, 300.0
"""Of the regression: principal components of the mouth, folds of the cross-validation, and the ridge, in frames."""


@dataclass(frozen=True)
class Offset:
    """Delay of the audio in video frames; negative: early.

    Args:
        clips: that it was measured on.
        frames: None where it can't be measured.
        low, high: 95 % interval over clips.
    """

    clips: int
    frames: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def width(self) -> float:
        """Of the interval; infinite where there is none."""
        return math.inf if self.low is None or self.high is None else self.high - self.low


def read_clip(audio: Path, video: Path, frames: int, clock: Clock) -> tuple[np.ndarray, np.ndarray]:
    """The part of a prepared clip that is measured: audio, float32 (N,), and mouth crops, uint8 (T,S,S).

    Args:
        audio: its audio.
        video: its mouth crops.
        frames: its length, video frames.
        clock: rates of audio and video.

    Raises:
        UserError: a file can't be read.
    """
    count = min(frames, LONGEST_FRAMES)
    return read_audio(audio, clock.sample_rate, 0, count * clock.samples_per_frame), read_crops(video, 0, count)


def measure_offset(clips: Iterable[tuple[np.ndarray, np.ndarray]], seed: int = 0) -> Offset:
    """Measure the delay of the audio.

    At each lag, a linear map predicts the changes of the audio's band levels from those of the mouth, as in FaceSync
    (Slaney & Covell, NIPS 2000); the delay is the lag at which prediction and audio of clips that the map was not
    fitted on correlate best. The natural lead of the mouth is part of it: talkers of GRID measure -0.3 to 0 frames.

    Args:
        clips: audio, float (T * samples per frame,), and mouth crops, uint8 (T,S,S).
        seed: of the bootstrap over clips.
    """
    pairs = [pair for pair in (_changes(audio, crops) for audio, crops in clips) if pair is not None]
    if len(pairs) < FEWEST_CLIPS:
        return Offset(len(pairs))
    table, random = _correlations(*zip(*pairs, strict=True)), np.random.default_rng(seed)  # (clips, lags)
    found = _delays(table.mean(0)[None])[0]
    draws = random.multinomial(len(table), np.full(len(table), 1 / len(table)), RESAMPLES)
    low, high = np.percentile(_delays(draws @ table), [2.5, 97.5])
    if high - low > WIDEST or abs(found) >= MAX_FRAMES:
        return Offset(len(table))
    return Offset(len(table), *(round(float(value), 2) for value in (found, low, high)))


def _changes(audio: np.ndarray, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Changes from frame to frame of the mouth (T-1,P) and of the band levels, every STEPS-th of a frame and
    standardised, ((T-1) * STEPS,BANDS); None where they are undefined."""
    per_frame = len(audio) // len(crops)
    crops = crops[:LONGEST_FRAMES]
    if len(crops) < 2 * MAX_FRAMES:
        return None
    rows, columns = (slice(int(part.start * crops.shape[1]), int(part.stop * crops.shape[1])) for part in MOUTH)
    cell = max(1, round(CELL * crops.shape[1]))
    mouth = crops[:, rows, columns].astype(np.float32)
    height, width = (side // cell for side in mouth.shape[1:])
    mouth = mouth[:, : height * cell, : width * cell].reshape(len(mouth), height, cell, width, cell).mean((2, 4))
    mouth -= mouth.mean((1, 2), keepdims=True)  # the light
    starts = np.arange(len(crops) * STEPS) * per_frame // STEPS
    spans = np.pad(audio, (0, per_frame))[starts[:, None] + np.arange(per_frame)]
    power = np.square(np.abs(np.fft.rfft(spans * np.hanning(per_frame))))
    edges = np.geomspace(LOWEST_BIN, power.shape[1], BANDS + 1).round().astype(int)
    levels = 10 * np.log10(np.add.reduceat(power, edges[:-1], axis=1) + 1e-9)
    levels = np.maximum(levels, levels.max(0) - LEVEL_RANGE_DB)
    voice, mouth = levels[STEPS:] - levels[:-STEPS], np.diff(mouth.reshape(len(mouth), -1), axis=0)
    if voice.std() < 1e-9 or mouth.std() < 1e-9:
        return None
    return mouth, voice / (voice.std(0) + 1e-9)


def _correlations(mouths: tuple[np.ndarray, ...], voices: tuple[np.ndarray, ...]) -> np.ndarray:
    """Of each clip, correlation of the predicted with the audio's changes at each lag (N, 2 * MAX_FRAMES * STEPS + 1).

    The map is fitted on the clips of the other folds."""
    every = np.concatenate(mouths)
    axes = np.linalg.svd(every.T @ every)[0][:, :COMPONENTS]
    scale = (every @ axes[:, 0]).std()
    inputs = [mouth @ axes / scale for mouth in mouths]  # (T-1,C)
    outputs = [_lagged(voice) for voice in voices]  # (T-1,L,BANDS)
    within = np.stack([x.T @ x for x in inputs])
    across = np.stack([np.tensordot(x, y, (0, 0)) for x, y in zip(inputs, outputs, strict=True)])  # (N,C,L,BANDS)
    fold, rows = np.arange(len(inputs)) % FOLDS, np.zeros((len(inputs), across.shape[2]))
    for number in range(FOLDS):
        fitted = fold != number
        left = within[fitted].sum(0) + RIDGE * np.eye(within.shape[1])
        weights = np.linalg.solve(left, across[fitted].sum(0).reshape(len(left), -1))
        for clip in np.flatnonzero(~fitted):
            target = outputs[clip]
            guess = (inputs[clip] @ weights).reshape(target.shape)
            energy = np.square(guess).sum((0, 2)) * np.square(target).sum((0, 2))
            rows[clip] = (guess * target).sum((0, 2)) / (np.sqrt(energy) + 1e-9)
    return rows


def _lagged(voice: np.ndarray) -> np.ndarray:
    """((T-1) * STEPS,BANDS) -> at the time of each video frame and each lag (T-1,L,BANDS), zero beyond the ends."""
    reach = MAX_FRAMES * STEPS
    padded = np.pad(voice, ((reach, reach), (0, 0)))
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=0)[::STEPS].swapaxes(1, 2)


def _delays(curves: np.ndarray) -> np.ndarray:
    """Correlations at each lag (N,L) -> the delays of their peaks (N,), video frames."""
    return peaks(curves) / STEPS - MAX_FRAMES
