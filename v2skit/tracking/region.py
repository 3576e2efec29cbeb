"""Rotated square regions of interest: from a face's bounding box to a network's input, and back to the frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample

MARGIN = 1.5
"""Side of a region, in longer sides of the bounding box that it is made from."""


@dataclass(frozen=True)
class Region:
    """A rotated square of a frame.

    Args:
        x, y: its centre, pixels of the frame.
        side: its side, pixels of the frame.
        roll: its angle, radians, clockwise as seen.
    """

    x: float
    y: float
    side: float
    roll: float

    @classmethod
    def around(cls, box: np.ndarray, right_eye: np.ndarray, left_eye: np.ndarray) -> Region:
        """The region of a face, rotated so that the line through its eyes is horizontal in it.

        Args:
            box: bounding box (4,): left, top, right, bottom, pixels.
            right_eye, left_eye: x and y (2,), pixels; the right eye is on the left as seen.
        """
        left, top, right, bottom = (float(edge) for edge in box)
        across, down = (float(step) for step in left_eye - right_eye)
        side = MARGIN * max(right - left, bottom - top)
        return cls((left + right) / 2, (top + bottom) / 2, side, math.atan2(down, across))

    def sample(self, frame: np.ndarray, size: int) -> np.ndarray:
        """RGB uint8 (H,W,3) -> the region, RGB float32 (size,size,3), 0..1; edge pixels are repeated beyond the frame.

        Pixel ``i`` of the result lies ``i / size`` of the side from its edge, and whole coordinates are pixel centres,
        as MediaPipe samples the face, so that the mesh is the same.
        """
        height, width = frame.shape[:2]
        cos, sin = self.side / 2 * math.cos(self.roll), self.side / 2 * math.sin(self.roll)
        extent = abs(cos) + abs(sin) + 2
        left, right = (int(min(max(v, 0), width - 1)) for v in (self.x - extent, self.x + extent + 1))
        top, bottom = (int(min(max(v, 0), height - 1)) for v in (self.y - extent, self.y + extent + 1))
        part = frame[top : bottom + 1, left : right + 1].astype(np.float32, order="C")
        high, wide = part.shape[:2]
        half_pixel = 1 / size
        shift_x = (2 * (self.x - left - half_pixel * (cos - sin)) + 1) / wide - 1
        shift_y = (2 * (self.y - top - half_pixel * (sin + cos)) + 1) / high - 1
        affine = torch.tensor(
            [[[2 * cos / wide, -2 * sin / wide, shift_x], [2 * sin / high, 2 * cos / high, shift_y]]],
            dtype=torch.float32,
        )
        image = torch.from_numpy(part).permute(2, 0, 1)[None]  # (h,w,3) -> (1,3,h,w)
        grid = affine_grid(affine, [1, 3, size, size], align_corners=False)
        sampled = grid_sample(image, grid, padding_mode="border", align_corners=False)
        return sampled[0].permute(1, 2, 0).mul(1 / 255).contiguous().numpy()

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """Points (P,2), as fractions of the region's side from its upper left corner -> pixels of the frame."""
        across, down = self.side * (points - 0.5).T
        cos, sin = math.cos(self.roll), math.sin(self.roll)
        return np.stack([self.x + cos * across - sin * down, self.y + sin * across + cos * down], 1)

    def box(self) -> np.ndarray:
        """Bounding box (4,) of the square without its rotation: left, top, right, bottom, pixels."""
        half = self.side / 2
        return np.array([self.x - half, self.y - half, self.x + half, self.y + half])


def intersection_over_union(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Of a box (4,) with each of boxes (N,4), left, top, right, bottom -> (N,), 0..1."""
    near, far = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.maximum(far - near, 0), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    union = np.prod(box[2:] - box[:2]) + areas - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
