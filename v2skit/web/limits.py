"""Limits of what is uploaded to the page."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from v2skit.errors import UserError
from v2skit.media.audio_stream import exceeds
from v2skit.media.container import MAX_FRAME_RATE


@dataclass(frozen=True)
class Limits:
    """Limits of the uploads.

    Args:
        megabytes: size of an upload.
        seconds: length of a video.
        megapixels: size of a frame, and so of the memory that a small file needs: 4K.
        recording_seconds: length of a recording of a voice.
    """

    megabytes: int = 200
    seconds: int = 60
    megapixels: float = 9.0
    recording_seconds: int = 3600

    def __post_init__(self) -> None:
        if self.megabytes <= 0 or self.seconds <= 0:
            raise UserError(f"serve: max_mb {self.megabytes} and max_seconds {self.seconds} must be positive")

    def check_bytes(self, count: int) -> None:
        """Raises UserError where an upload is too large."""
        if count > self.megabytes * 1_000_000:
            raise UserError(f"The upload is too large: the limit is {self.megabytes} MB; give a shorter one.")

    def check_seconds(self, seconds: float) -> None:
        """Raises UserError where a video is too long."""
        if seconds > self.seconds:
            raise UserError(f"The video is too long: the limit is {self.seconds} s; give a shorter one.")

    def check_frames(self, count: int) -> None:
        """Raises UserError where more frames have been decoded than a video of the longest length has; any number of
        them may be shown within an instant."""
        most = self.seconds * MAX_FRAME_RATE
        if count > most:
            raise UserError(f"The video has too many frames: the limit is {most}; give it a lower frame rate.")

    def check_recording(self, recording: Path) -> None:
        """Raises UserError where a recording is too long; one that can't be decoded is the model's to refuse."""
        too_long = False
        with suppress(UserError):
            too_long = exceeds(recording, self.recording_seconds)
        if too_long:
            raise UserError(f"The recording is too long: the limit is {self.recording_seconds} s; give a shorter one.")

    def check_pixels(self, pixels: int) -> None:
        """Raises UserError where the frames of a video are too large."""
        if pixels > self.megapixels * 1_000_000:
            raise UserError(
                f"The frames of the video are too large: the limit is {self.megapixels:g} megapixels (4K), "
                f"not {pixels / 1e6:.1f}; scale it down."
            )
