"""Time and the ONE mel: the settings that two artefacts must share to be used together."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from v2skit.errors import UserError


@dataclass(frozen=True)
class Clock:
    """The video frame is the clock: every length in the toolkit is a whole number of video frames.

    Args:
        sample_rate: audio samples a second.
        fps: video frames a second.

    Raises:
        UserError: ``sample_rate / fps`` is not a whole number.
    """

    sample_rate: int = 24000
    fps: int = 25

    def __post_init__(self) -> None:
        if self.sample_rate <= 0 or self.fps <= 0 or self.sample_rate % self.fps:
            raise UserError(
                f"sample_rate {self.sample_rate} / fps {self.fps} is not a whole number of samples a video frame"
            )

    @property
    def samples_per_frame(self) -> int:
        """Samples of one video frame."""
        return self.sample_rate // self.fps


@dataclass(frozen=True)
class Mel:
    """The log-mel spectrogram used by training, losses, vocoders and scores.

    Frame ``m`` is centred on sample ``m * hop + hop / 2``, beyond the ends the signal is zero, so ``n`` samples
    give exactly ``n / hop`` frames and padding a clip changes none of its own frames but for the overlap.

    Args:
        n_fft: FFT length, samples.
        window: Hann window length, samples.
        hop: samples from frame to frame.
        n_mels: mel bins.
        f_min: lower edge of the lowest bin, Hz.
        f_max: upper edge of the highest bin, Hz.
        floor: magnitudes below it are raised to it before the logarithm.
        log: ``natural`` or ``log10``.
        scale: ``slaney`` or ``htk``, with the filters' area normalised for ``slaney``.
    """

    n_fft: int = 2048
    window: int = 1200
    hop: int = 240
    n_mels: int = 80
    f_min: float = 0.0
    f_max: float = 12000.0
    floor: float = 1e-4
    log: Literal["natural", "log10"] = "natural"
    scale: Literal["slaney", "htk"] = "slaney"

    def __post_init__(self) -> None:
        if not 0 < self.window <= self.n_fft or self.hop <= 0 or (self.n_fft - self.hop) % 2:
            raise UserError(f"window {self.window} must not exceed n_fft {self.n_fft}, and n_fft - hop must be even")
        if not 0 <= self.f_min < self.f_max or self.n_mels <= 0 or self.floor <= 0:
            raise UserError("a mel needs 0 <= f_min < f_max, n_mels > 0 and floor > 0")

    def per_frame(self, clock: Clock) -> int:
        """Mel frames in a video frame. Raises UserError where that is not a whole number."""
        if clock.samples_per_frame % self.hop:
            raise UserError(
                f"mel.hop: sample_rate {clock.sample_rate} / fps {clock.fps} / hop {self.hop} is not a whole number "
                f"of mel frames a video frame; hop must divide {clock.samples_per_frame}",
                key="mel.hop",
            )
        if self.f_max > clock.sample_rate / 2:
            raise UserError(
                f"mel.f_max: {self.f_max} Hz is above half the sample rate, {clock.sample_rate / 2} Hz", key="mel.f_max"
            )
        return clock.samples_per_frame // self.hop


@dataclass(frozen=True)
class Crop:
    """The mouth crop; the same for training and for synthesis.

    Args:
        size: side of the stored crop, pixels.
        eye_distances: side of the crop on the face, in distances between the eyes.
        smoothing_seconds: length of the Hann window that smooths place and roll; 0: none.
        max_lost_share: share of a training clip's frames in which no face may be found.
        look_ahead_frames: later frames that a crop may depend on, for models that speak live; null: the whole clip.
    """

    size: int = 96
    eye_distances: float = 1.5
    smoothing_seconds: float = 0.4
    max_lost_share: float = 0.2
    look_ahead_frames: int | None = None

    def __post_init__(self) -> None:
        if self.size < 8 or self.size % 2 or self.eye_distances <= 0 or self.smoothing_seconds < 0:
            raise UserError("a crop needs an even size of at least 8, eye_distances > 0 and smoothing_seconds >= 0")
        if not 0 <= self.max_lost_share <= 1:
            raise UserError(f"a crop's max_lost_share {self.max_lost_share} must lie in 0..1")
        if self.look_ahead_frames is not None and self.look_ahead_frames < 0:
            raise UserError(f"a crop's look_ahead_frames {self.look_ahead_frames} must not be negative")


def feature_settings(clock: Clock, mel: Mel) -> dict:
    """All settings that define the mel frames, flat; stored with every artefact that holds or expects them."""
    return {**asdict(clock), **asdict(mel)}


def feature_hash(settings: dict) -> str:
    """A short hash of :func:`feature_settings`."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def check_same_features(ours: dict, theirs: dict, our_name: str, their_name: str) -> None:
    """Raises UserError that lists the fields in which two artefacts' feature settings differ."""
    if feature_hash(ours) == feature_hash(theirs):
        return
    fields = [k for k in sorted({*ours, *theirs}) if ours.get(k) != theirs.get(k)]
    differs = "; ".join(f"{k}: {ours.get(k)} in {our_name}, {theirs.get(k)} in {their_name}" for k in fields)
    raise UserError(f"{our_name} and {their_name} do not share their mel settings ({differs}); use two that do")
