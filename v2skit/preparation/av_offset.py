"""How far the sound is from the picture in time, over many clips: one clip's lips say too little."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

MAX_FRAMES = 12
"""Offsets are looked for up to so many video frames."""

LONGEST_FRAMES = 250
"""Of a clip, as much is used."""

RESAMPLES = 1000
FEWEST_CLIPS, WIDEST = 5, 2.0
"""Fewer clips tell nothing, nor does a 95 % interval wider than so many frames."""

LEVEL_RANGE_DB = 40.0
MOUTH = (slice(0.25, 0.9), slice(0.15, 0.85))
"""Rows and columns of a crop in which the mouth moves, as shares of its side."""


@dataclass(frozen=True)
class Offset:
    """By how much the sound is late, in video frames; negative: early.

    Args:
        clips: that it was measured on.
        frames: None where it can't be told.
        low, high: 95 % interval over clips.
    """

    clips: int
    frames: float | None = None
    low: float | None = None
    high: float | None = None


def measure_offset(clips: Iterable[tuple[np.ndarray, np.ndarray]], seed: int = 0) -> Offset:
    """Measure how late the sound is.

    When the mouth opens, its contrast rises (teeth, and the dark between the lips), and so does the level of the sound:
    what is correlated, at each lag, is their changes from one frame to the next.

    Args:
        clips: sound, float (T * samples per frame,), and mouth crops, uint8 (T,S,S).
        seed: of the bootstrap over clips.
    """
    rows = [row for row in (_correlations(sound, crops) for sound, crops in clips) if row is not None]
    if len(rows) < FEWEST_CLIPS:
        return Offset(len(rows))
    table, random = np.stack(rows), np.random.default_rng(seed)  # (clips, lags)
    found = _peaks(table.mean(0)[None])[0]
    draws = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), RESAMPLES)
    low, high = np.percentile(_peaks(draws @ table), [2.5, 97.5])
    if high - low > WIDEST or abs(found) >= MAX_FRAMES:
        return Offset(len(rows))
    return Offset(len(rows), *(round(float(value), 2) for value in (found, low, high)))


def _correlations(sound: np.ndarray, crops: np.ndarray) -> np.ndarray | None:
    """Of a clip's changes in level and in contrast, at each lag (2 * MAX_FRAMES + 1,); None where there are none."""
    per_frame = len(sound) // len(crops)
    crops = crops[:LONGEST_FRAMES]
    if len(crops) < 2 * MAX_FRAMES:
        return None
    power = np.square(sound[: len(crops) * per_frame], dtype=np.float64).reshape(len(crops), -1).mean(1)
    level = 10 * np.log10(power + 1e-12)
    side = crops.shape[1]
    rows, columns = (slice(int(part.start * side), int(part.stop * side)) for part in MOUTH)
    contrast = crops[:, rows, columns].reshape(len(crops), -1).std(1)
    tracks = [np.diff(track) for track in (contrast, np.maximum(level, level.max() - LEVEL_RANGE_DB))]
    if any(track.std() < 1e-9 for track in tracks):
        return None
    mouth, voice = ((track - track.mean()) / track.std() for track in tracks)
    return np.correlate(np.pad(voice, MAX_FRAMES), mouth) / len(mouth)


def _peaks(curves: np.ndarray) -> np.ndarray:
    """Curves over lags (N,L) -> lags of their peaks (N,), each refined by a parabola through it and its neighbours."""
    top = curves.argmax(1)
    inner = top.clip(1, curves.shape[1] - 2)
    before, at, after = (curves[np.arange(len(curves)), inner + step] for step in (-1, 0, 1))
    bend = before - 2 * at + after
    refined = np.where((inner == top) & (bend < 0), 0.5 * (before - after) / np.where(bend < 0, bend, -1.0), 0.0)
    return top - MAX_FRAMES + refined
