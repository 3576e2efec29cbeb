"""Face detection: BlazeFace (Bazarevsky et al., Sub-millisecond neural face detection on mobile GPUs, 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from v2skit.tracking.region import Region, intersection_over_union
from v2skit.tracking.tflite import TfliteModel, sigmoid

SHORT_RANGE = ("face_detection_short_range", ((8, 2), (16, 6)))
"""Faces within about 2 m of the camera: the model's file, and (stride in pixels, anchors a cell) of each output."""

FULL_RANGE = ("face_detection_full_range", ((4, 1),))
"""Faces within about 5 m, which are smaller in the frame, likewise."""

MERGED_OVERLAP = 0.3
"""Intersection over union above which two detections are merged into one face."""


class BlazeFace:
    """A face detector, one of BlazeFace's two models.

    Args:
        name: of the model's file, without ``.tflite``.
        strides: of each output, pixels between its cells and the number of anchors in each cell.
        min_score: lowest score of a detection, 0..1.

    Raises:
        UserError: the model or its interpreter is not installed.
    """

    def __init__(self, name: str, strides: Sequence[tuple[int, int]], min_score: float) -> None:
        self._model = TfliteModel(name)
        self._anchors = anchors(self._model.size, strides)
        self._min_score = min_score

    def detect(self, frame: np.ndarray) -> list[Region]:
        """RGB uint8 (H,W,3) -> the regions of the faces, by falling score."""
        size = self._model.size
        image, scale, offset = letterbox(frame, size)
        values, logits = self._model(image)
        scores = sigmoid(logits[:, 0])
        likely = scores >= self._min_score
        faces = decode(values[likely].astype(np.float64), self._anchors[likely], size)
        _, faces = weighted_nms(scores[likely], faces)
        faces = (faces.reshape(-1, 8, 2) * size - offset) / scale
        return [Region.around(face[:2].ravel(), face[2], face[3]) for face in faces]


def anchors(size: int, strides: Sequence[tuple[int, int]]) -> np.ndarray:
    """Anchor points of the detector's outputs: the centres of their cells.

    Args:
        size: side of the input, pixels.
        strides: for each output, pixels between cells and the number of anchors in each cell.

    Returns:
        x and y (N,2) as fractions of the side, row by row, with all anchors of a cell in sequence.
    """
    layers = []
    for stride, count in strides:
        centres = (np.arange(size // stride) + 0.5) * stride / size
        y, x = np.meshgrid(centres, centres, indexing="ij")
        layers.append(np.stack([x, y], -1).reshape(-1, 2).repeat(count, axis=0))
    return np.concatenate(layers)


def decode(values: np.ndarray, centres: np.ndarray, size: int) -> np.ndarray:
    """Bounding boxes and keypoints of the detector's outputs, which are relative to anchors.

    Args:
        values: (N,16) in pixels of the input: the box's centre, its width and height, then six keypoints: eyes (the
            right one first), nose, mouth, ears.
        centres: of the anchors (N,2), fractions of the side.
        size: side of the input, pixels.

    Returns:
        (N,16), fractions of the side: left, top, right, bottom of the box, then the keypoints.
    """
    pairs = values.reshape(-1, 8, 2) / size
    centre, half = pairs[:, :1] + centres[:, None], pairs[:, 1:2] / 2
    return np.concatenate([centre - half, centre + half, pairs[:, 2:] + centres[:, None]], 1).reshape(-1, 16)


def weighted_nms(scores: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Non-maximum suppression that averages overlapping detections: their mean jitters less than the best of them.

    Args:
        scores: (N,), positive.
        faces: (N,F), whose first four values are left, top, right, bottom of the bounding box.

    Returns:
        the best score of each face (K,), falling, and the mean of its detections (K,F), weighted by their scores.
    """
    order = np.argsort(-scores, kind="stable")
    scores, faces = scores[order], faces[order]
    best, means = [], []
    while len(scores):
        same = intersection_over_union(faces[0, :4], faces[:, :4]) > MERGED_OVERLAP
        same[0] = True
        best.append(scores[0])
        means.append(scores[same] @ faces[same] / scores[same].sum())
        scores, faces = scores[~same], faces[~same]
    return np.array(best), np.array(means).reshape(-1, faces.shape[1])


def letterbox(frame: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Resize a frame to fit into a square, and pad it with black.

    Args:
        frame: RGB uint8 (H,W,3).
        size: side of the square, pixels.

    Returns:
        the square, RGB float32 (size,size,3), -1..1; its pixels per pixel of the frame, x and y (2,); the position of
        the frame's upper left corner in it, x and y (2,), pixels.
    """
    height, width = frame.shape[:2]
    scale = size / max(height, width)
    wide, high = (max(1, round(scale * length)) for length in (width, height))
    image = Image.fromarray(frame).resize((wide, high), Image.Resampling.BILINEAR, reducing_gap=2.0)
    left, top = (size - wide) // 2, (size - high) // 2
    square = np.full((size, size, 3), -1, np.float32)
    square[top : top + high, left : left + wide] = np.asarray(image, np.float32) / 127.5 - 1
    return square, np.array([wide / width, high / height]), np.array([left, top], float)
