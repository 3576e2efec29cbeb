"""Augmentation of mouth crops (SVTS, Mira et al. 2022), with a given random generator."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F

from v2skit.config.augmentation import Augmentation

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
    """uint8 (T,H,W) -> uint8 (T,crop,crop): jitter of geometry, random crop, flip, jitter of light, erased rectangle
    and time masks; all but the masks are the same in every frame. The input is not modified."""
    side = settings.crop
    if settings.scale or settings.rotation:
        crops = _warp(crops, settings, random)
    top, left = (random.integers(0, size - side + 1) for size in crops.shape[1:])
    crops = crops[:, top : top + side, left : left + side]
    if random.random() < settings.flip:
        crops = crops[:, :, ::-1]
    if settings.brightness or settings.contrast:
        crops = _relight(crops, settings, random)
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


def _warp(crops: np.ndarray, settings: Augmentation, random: np.random.Generator) -> np.ndarray:
    """Rotated, and scaled by another factor in either direction, about the centre; the border is repeated outside."""
    angle = math.radians(random.uniform(-settings.rotation, settings.rotation))
    both, ratio = random.uniform(-settings.scale, settings.scale), random.uniform(-settings.scale, settings.scale) / 2
    wide, high = (1 + both) * (1 + ratio), (1 + both) * (1 - ratio)
    turn = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]])
    theta = torch.from_numpy(turn / [[wide], [high]]).float()[None]  # output -> input coordinates
    frames = torch.from_numpy(crops).float()[None]  # (1, T, H, W): one grid for all frames
    grid = F.affine_grid(theta, list(frames[:, :1].shape), align_corners=False)
    warped = F.grid_sample(frames, grid, padding_mode="border", align_corners=False)
    return warped[0].round().to(torch.uint8).numpy()


def _relight(crops: np.ndarray, settings: Augmentation, random: np.random.Generator) -> np.ndarray:
    """Another contrast about the clip's mean, and another mean, by a table of the 256 values."""
    contrast = 1 + random.uniform(-settings.contrast, settings.contrast)
    shift = 255 * random.uniform(-settings.brightness, settings.brightness)
    mean = crops.mean()
    table = ((np.arange(256) - mean) * contrast + mean + shift).round().clip(0, 255).astype(np.uint8)
    return table[crops]
