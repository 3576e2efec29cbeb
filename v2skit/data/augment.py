"""Augmentation of mouth crops (SVTS, Mira et al. 2022), with a given random generator."""

from __future__ import annotations

import math

import numpy as np

from v2skit.config.schema import Augmentation

MEAN, STD = 0.421, 0.165
"""Of grey mouth crops divided by 255 (SVTS)."""


def normalise(crops: np.ndarray) -> np.ndarray:
    """uint8 (T,H,W) -> float32 (T,1,H,W) of about zero mean and unit variance."""
    normal = np.multiply(crops, np.float32(1 / (255 * STD)), dtype=np.float32)
    normal -= np.float32(MEAN / STD)
    return normal[:, None]


def centre_crop(crops: np.ndarray, side: int) -> np.ndarray:
    """(T,H,W) -> (T,side,side), as at inference."""
    top, left = (crops.shape[1] - side) // 2, (crops.shape[2] - side) // 2
    return crops[:, top : top + side, left : left + side]


def augment(crops: np.ndarray, settings: Augmentation, fps: int, random: np.random.Generator) -> np.ndarray:
    """uint8 (T,H,W) -> uint8 (T,crop,crop): random crop, flip, erased rectangle and time masks; crop, flip and
    rectangle are the same in every frame. The input is not modified."""
    side = settings.crop
    top, left = (random.integers(0, size - side + 1) for size in crops.shape[1:])
    crops = crops[:, top : top + side, left : left + side]
    if random.random() < settings.flip:
        crops = crops[:, :, ::-1]
    crops = crops.copy()
    mean = round(MEAN * 255)
    if random.random() < settings.erase:
        least, most = settings.erase_area
        area = random.uniform(least, most) * side * side
        lowest, highest = map(math.log, settings.erase_ratio)
        ratio = math.exp(random.uniform(lowest, highest))
        height, width = (min(side, round(math.sqrt(area * r))) for r in (ratio, 1 / ratio))
        top, left = random.integers(0, side - height + 1), random.integers(0, side - width + 1)
        crops[:, top : top + height, left : left + width] = mean
    for second in range(0, len(crops), fps):
        run = round(random.uniform(0, settings.time_mask_seconds) * fps)
        start = second + random.integers(0, max(1, fps - run))
        if run and start < len(crops):
            crops[start : start + run] = crops.sum((1, 2), dtype=np.uint32).sum() // crops.size
    return crops
