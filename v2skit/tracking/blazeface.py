"""Face detection: BlazeFace (Bazarevsky et al., Sub-millisecond neural face detection on mobile GPUs, 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from v2skit.tracking.region import Region, overlap
from v2skit.tracking.tflite import TfliteModel, sigmoid

SHORT_RANGE = ("face_detection_short_range", ((8, 2), (16, 6)))
"""Faces within about 2 m of the camera: the model's file, and (stride in pixels, anchors per cell) of its outputs."""

FULL_RANGE = ("face_detection_full_range", ((4, 1),))
"""Faces within about 5 m, which are smaller in the frame; likewise."""

MERGED_OVERLAP = 0.3
"""Intersection over union from which two detections are one face."""


class BlazeFace:
    """One of BlazeFace's models.

    Args:
        name: of the model's file.
        strides: pixels between the cells of each output, and the anchors in each cell.
        min_score: a face is one from this score on, 0..1.

    Raises:
        UserError: the model or its interpreter is not installed.
    """

    def __init__(self, name: str, strides: Sequence[tuple[int, int]], min_score: float) -> None:
        self._model = TfliteModel(name)
        self._anchors = anchors(self._model.size, strides)
        self._min_score = min_score

    def detect(self, frame: np.ndarray) -> list[Region]:
        """RGB uint8 (H,W,3) -> the regions of the faces, the most certain first."""
        size = self._model.size
        picture, scale, offset = letterbox(frame, size)
        values, logits = self._model(picture)
        scores = sigmoid(logits[:, 0])
        likely = scores >= self._min_score
        faces = decode(values[likely].astype(np.float64), self._anchors[likely], size)
        _, faces = merge(scores[likely], faces)
        faces = (faces.reshape(-1, 8, 2) * size - offset) / scale
        return [Region.around(face[:2].ravel(), face[2], face[3]) for face in faces]


def anchors(size: int, strides: Sequence[tuple[int, int]]) -> np.ndarray:
    """Centres of the cells that the detector's outputs belong to.

    Args:
        size: side of the input, pixels.
        strides: for each output, pixels between cells and the number of anchors in each cell.

    Returns:
        x and y (N,2) as fractions of the side; row by row, all anchors of a cell together.
    """
    layers = []
    for stride, count in strides:
        centres = (np.arange(size // stride) + 0.5) * stride / size
        y, x = np.meshgrid(centres, centres, indexing="ij")
        layers.append(np.stack([x, y], -1).reshape(-1, 2).repeat(count, axis=0))
    return np.concatenate(layers)


def decode(values: np.ndarray, centres: np.ndarray, size: int) -> np.ndarray:
    """The detector's output, relative to anchors, as boxes and points.

    Args:
        values: (N,16) in pixels of the input: the box's centre, its width and height, then six points: eyes (the right
            one first), nose, mouth, ears.
        centres: of their anchors, (N,2), fractions of the side.
        size: side of the input, pixels.

    Returns:
        (N,16), fractions of the side: left, top, right, bottom of the box, then the points.
    """
    pairs = values.reshape(-1, 8, 2) / size
    centre, half = pairs[:, :1] + centres[:, None], pairs[:, 1:2] / 2
    return np.concatenate([centre - half, centre + half, pairs[:, 2:] + centres[:, None]], 1).reshape(-1, 16)


def merge(scores: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Non-maximum suppression that averages what it merges, which is steadier than the best alone.

    Args:
        scores: (N,), positive.
        faces: (N,F), of which the first four are left, top, right, bottom of the box.

    Returns:
        the best score of each face (K,), falling, and its mean (K,F), weighted by the scores.
    """
    order = np.argsort(-scores, kind="stable")
    scores, faces = scores[order], faces[order]
    best, means = [], []
    while len(scores):
        same = overlap(faces[0, :4], faces[:, :4]) > MERGED_OVERLAP
        same[0] = True
        best.append(scores[0])
        means.append(scores[same] @ faces[same] / scores[same].sum())
        scores, faces = scores[~same], faces[~same]
    return np.array(best), np.array(means).reshape(-1, faces.shape[1])


def letterbox(frame: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """RGB uint8 (H,W,3) -> the frame as large as fits into a square, with black beside or above and below it.

    Returns:
        float32 (size,size,3), -1..1; its pixels per pixel of the frame, x and y (2,); the frame's corner in it (2,).
    """
    height, width = frame.shape[:2]
    scale = size / max(height, width)
    wide, high = (max(1, round(scale * length)) for length in (width, height))
    image = Image.fromarray(frame).resize((wide, high), Image.Resampling.BILINEAR, reducing_gap=2.0)
    left, top = (size - wide) // 2, (size - high) // 2
    picture = np.full((size, size, 3), -1, np.float32)
    picture[top : top + high, left : left + wide] = np.asarray(image, np.float32) / 127.5 - 1
    return picture, np.array([wide / width, high / height]), np.array([left, top], float)
