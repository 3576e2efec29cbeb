"""Tempo perturbation (Ko et al. 2015) of examples: audio and video faster or slower, in step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Excerpt(NamedTuple):
    """Consecutive video frames of an utterance, and their tempo.

    Args:
        start: the first one.
        length: their number.
        frames: their number in the batch; with a tempo other than 1 it is not ``length``.
    """

    start: int
    length: int
    frames: int


def draw_excerpt(available: int, longest: int | None, tempos: Sequence[float], random: np.random.Generator) -> Excerpt:
    """A random excerpt of an utterance at one of the tempos.

    Args:
        available: video frames of the utterance.
        longest: largest number of frames in the batch; None: the whole utterance.
        tempos: one is drawn, unless there is only one.
        random: source of the choices.
    """
    tempo = tempos[int(random.integers(len(tempos)))] if len(tempos) > 1 else tempos[0]
    length = int(excerpt_length(available, longest, tempo))
    frames = max(1, round(length / tempo))
    start = int(random.integers(0, available - length + 1))
    return Excerpt(start, length, min(frames, longest) if longest else frames)


def excerpt_length(available: int | np.ndarray, longest: int | None, tempo: float) -> np.ndarray:
    """Video frames of an utterance that an excerpt has; the arguments are those of :func:`draw_excerpt`."""
    return np.minimum(available, max(1, round(longest * tempo)) if longest else available)


def interpolate_frames(crops: np.ndarray, frames: int) -> np.ndarray:
    """uint8 (T,H,W) -> uint8 (frames,H,W), interpolated linearly in time; frames are centred on their part of the
    clock."""
    count = len(crops)
    if count == frames:
        return crops
    places = ((np.arange(frames) + 0.5) * count / frames - 0.5).clip(0, count - 1)
    first = np.minimum(places.astype(int), max(0, count - 2))
    after = np.rint((places - first) * 256).astype(np.uint16)[:, None, None]  # 8 bits: all fits into 16
    second = np.minimum(first + 1, count - 1)
    return ((crops[first] * (256 - after) + crops[second] * after + 128) >> 8).astype(np.uint8)
