"""One face among several: chosen by size, then followed by place."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from v2skit.errors import UserError
from v2skit.tracking.tracker import Mouth

REACH, REACH_A_FRAME = 1.5, 0.25
"""How far a face may be from where it was last, in distances between its eyes, and more for each frame without it."""

FORGET_SECONDS = 2.0
"""A face that is lost for longer is chosen anew: the film was cut, or the talker has moved to another place."""

PATIENCE_SECONDS = 10.0
"""Within this time after the first face is seen, as many faces as were asked for must be seen together."""


class FacesError(UserError):
    """There are fewer faces than were asked for. ``picture``: RGB uint8 (H,W,3) with those there are, numbered."""

    def __init__(self, message: str, picture: np.ndarray) -> None:
        super().__init__(message)
        self.picture = picture


class Follower:
    """Keeps to one face.

    Args:
        face: which one where there are several, 1 is the largest.

    Raises:
        UserError: ``face`` is no positive number.
    """

    def __init__(self, face: int) -> None:
        if face < 1:
            raise UserError(f"face {face}: faces are counted from 1, the largest")
        self.face = face
        self.start(25)

    def start(self, fps: int) -> None:
        """A new video of ``fps`` frames a second."""
        self._forget, self._patience = round(FORGET_SECONDS * fps), round(PATIENCE_SECONDS * fps)
        self._last: Mouth | None = None
        self._missed, self._waited = 0, 0
        self._others: list[Mouth] = []
        self._most: tuple[list[Mouth], np.ndarray | None] = ([], None)

    def choose(self, faces: list[Mouth], frame: np.ndarray) -> Mouth | None:
        """The face to follow among those in a frame, RGB uint8 (H,W,3), or None where it is not there.

        Raises:
            FacesError: there were never as many faces as were asked for.
        """
        chosen = self._nearest(faces) if self._last and self._missed < self._forget else self._ranked(faces, frame)
        self._others = [face for face in faces if face is not chosen]
        self._missed = 0 if chosen else self._missed + 1
        self._last = chosen or self._last
        return chosen

    def finish(self) -> None:
        """The video is over. Raises FacesError where there were faces, but never as many as were asked for."""
        faces, frame = self._most
        if self._last is None and frame is not None:
            there = "there is one face" if len(faces) == 1 else f"there are {len(faces)} faces"
            raise FacesError(f"no face {self.face}: {there}, counted from the largest", _numbered(frame, faces))

    def _nearest(self, faces: list[Mouth]) -> Mouth | None:
        last = self._last
        assert last is not None, "asked for only once there was a face"
        reach = last.eye_distance * (REACH + REACH_A_FRAME * self._missed)
        others = [face for face in self._others if _apart(face, last) > last.eye_distance]
        ours = [m for m in faces if _apart(m, last) <= min([reach, *(_apart(m, other) for other in others)])]
        return min(ours, key=lambda m: _apart(m, last), default=None)

    def _ranked(self, faces: list[Mouth], frame: np.ndarray) -> Mouth | None:
        ranked = sorted(faces, key=lambda m: -m.eye_distance)
        if len(ranked) >= self.face:
            return ranked[self.face - 1]
        if len(ranked) > len(self._most[0]):
            self._most = (ranked, frame)
        if self._most[0] and self._last is None:
            self._waited += 1
            if self._waited > self._patience:
                self.finish()
        return None


def _apart(one: Mouth, other: Mouth) -> float:
    return math.hypot(one.x - other.x, one.y - other.y)


def _numbered(frame: np.ndarray, faces: list[Mouth]) -> np.ndarray:
    """The frame with a numbered box around each face."""
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    for number, face in enumerate(faces, 1):
        reach = 1.6 * face.eye_distance
        box = (face.x - reach, face.y - 1.5 * reach, face.x + reach, face.y + 0.7 * reach)
        draw.rectangle(box, outline=(255, 220, 0), width=max(2, round(reach / 30)))
        corner = max(0, box[0]) + 0.1 * reach, max(0, box[1])
        draw.text(corner, str(number), (255, 220, 0), font_size=max(14, 0.5 * reach))
    return np.asarray(image)
