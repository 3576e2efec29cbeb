"""Data association among several faces: one is selected by size, then followed by position."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from v2skit.errors import UserError
from v2skit.tracking.tracker import MouthPose

MAX_DISPLACEMENT, DISPLACEMENT_PER_LOST_FRAME = 1.5, 0.25
"""How far from its last position a face may be found, in distances between its eyes, and what each frame in which it
was lost adds to that."""

RESELECT_SECONDS = 2.0
"""After so long a loss a face is selected by size again: the film was cut, or the talker has moved elsewhere."""

TIMEOUT_SECONDS = 10.0
"""Within this time after the first face is found, as many faces as were asked for must be found in one frame."""


class FacesError(UserError):
    """The video has fewer faces than were asked for. Its field ``picture`` shows those that were found."""

    @property
    def picture(self) -> np.ndarray:
        """The frame with the most faces, RGB uint8 (H,W,3), with a numbered box around each of them."""
        return self.fields["picture"]


class Follower:
    """Follows one face among those that are found in each frame.

    Args:
        face: rank of the face by size where it is selected; 1 is the largest.

    Raises:
        UserError: ``face`` is less than 1.
    """

    def __init__(self, face: int) -> None:
        if face < 1:
            raise UserError(f"face {face}: faces are counted from 1, the largest")
        self.face = face
        self.start(25)

    def start(self, fps: int) -> None:
        """Begin a new video of ``fps`` frames a second."""
        self._reselect, self._timeout = round(RESELECT_SECONDS * fps), round(TIMEOUT_SECONDS * fps)
        self._last: MouthPose | None = None
        self._lost, self._waited = 0, 0  # frames
        self._others: list[MouthPose] = []
        self._most: tuple[list[MouthPose], np.ndarray | None] = ([], None)

    def choose(self, faces: list[MouthPose], frame: np.ndarray) -> MouthPose | None:
        """Select the followed face in the next frame.

        Args:
            faces: all that are found in it.
            frame: RGB uint8 (H,W,3), for the picture of an error.

        Returns:
            one of ``faces``, or None where the followed face is not among them.

        Raises:
            FacesError: no frame within TIMEOUT_SECONDS had as many faces as were asked for.
        """
        chosen = self._nearest(faces) if self._last and self._lost < self._reselect else self._ranked(faces, frame)
        self._others = [face for face in faces if face is not chosen]
        self._lost = 0 if chosen else self._lost + 1
        self._last = chosen or self._last
        return chosen

    def finish(self) -> None:
        """End the video.

        Raises:
            FacesError: there were faces, but in no frame as many as were asked for.
        """
        faces, frame = self._most
        if self._last is None and frame is not None:
            found = "there is one face" if len(faces) == 1 else f"there are {len(faces)} faces"
            picture = _numbered(frame, faces)
            raise FacesError(f"no face {self.face}: {found}, counted from the largest", picture=picture)

    def _nearest(self, faces: list[MouthPose]) -> MouthPose | None:
        """The face nearest to the last position, unless it is too far or another face was nearer to where it is."""
        last = self._last
        assert last is not None, "called only once a face has been selected"
        limit = last.eye_distance * (MAX_DISPLACEMENT + DISPLACEMENT_PER_LOST_FRAME * self._lost)
        others = [face for face in self._others if _distance(face, last) > last.eye_distance]
        near = [m for m in faces if _distance(m, last) <= min([limit, *(_distance(m, other) for other in others)])]
        return min(near, key=lambda m: _distance(m, last), default=None)

    def _ranked(self, faces: list[MouthPose], frame: np.ndarray) -> MouthPose | None:
        """The face of the rank that was asked for."""
        ranked = sorted(faces, key=lambda m: -m.eye_distance)
        if len(ranked) >= self.face:
            return ranked[self.face - 1]
        if len(ranked) > len(self._most[0]):
            self._most = (ranked, frame)
        if self._most[0] and self._last is None:
            self._waited += 1
            if self._waited > self._timeout:
                self.finish()
        return None


def _distance(one: MouthPose, other: MouthPose) -> float:
    """Between the centres of two mouths, pixels."""
    return math.hypot(one.x - other.x, one.y - other.y)


def _numbered(frame: np.ndarray, faces: list[MouthPose]) -> np.ndarray:
    """The frame, RGB uint8 (H,W,3), with a numbered box around each face."""
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image)
    for number, face in enumerate(faces, 1):
        half = 1.6 * face.eye_distance
        box = (face.x - half, face.y - 1.5 * half, face.x + half, face.y + 0.7 * half)
        draw.rectangle(box, outline=(255, 220, 0), width=max(2, round(half / 30)))
        corner = max(0, box[0]) + 0.1 * half, max(0, box[1])
        draw.text(corner, str(number), (255, 220, 0), font_size=max(14, 0.5 * half))
    return np.asarray(image)
