"""Delay of the audio against the video, measured over many clips, since a single clip is not enough."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

MAX_FRAMES = 12
"""Largest offset that is searched, video frames."""

LONGEST_FRAMES = 250
"""Longest part of a clip that is used."""

RESAMPLES = 1000
FEWEST_CLIPS, WIDEST = 5, 2.0
"""Limits of a valid measurement: clips, and width of the 95 % interval, frames."""

LEVEL_RANGE_DB = 40.0
MOUTH = (slice(0.25, 0.9), slice(0.15, 0.85))
"""Rows and columns of the mouth in a crop, as shares of its side."""


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


def measure_offset(clips: Iterable[tuple[np.ndarray, np.ndarray]], seed: int = 0) -> Offset:
    """Measure the delay of the audio.

    An opening mouth raises both its contrast (teeth, and the dark between the lips) and the level of the audio: the
    changes of both from frame to frame are correlated at each lag.

    Args:
        clips: audio, float (T * samples per frame,), and mouth crops, uint8 (T,S,S).
        seed: of the bootstrap over clips.
    """
    rows = [row for row in (_correlations(audio, crops) for audio, crops in clips) if row is not None]
    if len(rows) < FEWEST_CLIPS:
        return Offset(len(rows))
    table, random = np.stack(rows), np.random.default_rng(seed)  # (clips, lags)
    found = _peaks(table.mean(0)[None])[0]
    draws = random.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), RESAMPLES)
    low, high = np.percentile(_peaks(draws @ table), [2.5, 97.5])
    if high - low > WIDEST or abs(found) >= MAX_FRAMES:
        return Offset(len(rows))
    return Offset(len(rows), *(round(float(value), 2) for value in (found, low, high)))


def _correlations(audio: np.ndarray, crops: np.ndarray) -> np.ndarray | None:
    """Correlation of changes in level and in contrast at each lag (2 * MAX_FRAMES + 1,); None where undefined."""
    per_frame = len(audio) // len(crops)
    crops = crops[:LONGEST_FRAMES]
    if len(crops) < 2 * MAX_FRAMES:
        return None
    power = np.square(audio[: len(crops) * per_frame], dtype=np.float64).reshape(len(crops), -1).mean(1)
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
