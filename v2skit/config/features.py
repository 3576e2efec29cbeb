"""Clock, mel and mouth crop: the settings that models, data and vocoders must share to be used together."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from typing import Literal

from v2skit.config.limits import check_range
from v2skit.errors import UserError


@dataclass(frozen=True)
class Clock:
    """The rates of audio and video; all lengths in the toolkit are whole numbers of video frames.

    Args:
        sample_rate: audio sampling rate, Hz.
        fps: video frame rate, Hz.

    Raises:
        UserError: a rate is out of range, or ``sample_rate / fps`` is not a whole number.
    """

    sample_rate: int = 24000
    fps: int = 25

    def __post_init__(self) -> None:
        check_range(self, sample_rate=(1, 1e6), fps=(1, 1e6))
        if self.sample_rate % self.fps:
            raise UserError(
                f"sample_rate {self.sample_rate} / fps {self.fps} is not a whole number of samples a video frame"
            )

    @property
    def samples_per_frame(self) -> int:
        """Samples a video frame."""
        return self.sample_rate // self.fps


@dataclass(frozen=True)
class Mel:
    """The settings of the log-mel spectrogram of training, losses, vocoders and scores.

    Frame ``m`` is centred on sample ``m * hop + hop / 2`` and the signal is zero beyond its ends, so that ``n`` samples
    have exactly ``n / hop`` frames, and padding changes only frames whose window overlaps it.

    Args:
        n_fft: FFT length, samples.
        window: Hann window length, samples.
        hop: hop length, samples.
        n_mels: number of mel bins.
        f_min: lower edge of the lowest bin, Hz.
        f_max: upper edge of the highest bin, Hz.
        floor: smallest magnitude; lower ones are clamped to it before the logarithm.
        log: ``natural`` or ``log10``.
        scale: ``slaney`` (area-normalised filters) or ``htk``.

    Raises:
        UserError: the settings do not fit together.
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
        check_range(self, n_fft=(1, 65_536), hop=(1, 65_536), n_mels=(1, 4096), floor=(1e-30, 1e30))
        if not 0 < self.window <= self.n_fft or (self.n_fft - self.hop) % 2:
            raise UserError(f"window {self.window} must not exceed n_fft {self.n_fft}, and n_fft - hop must be even")
        if not 0 <= self.f_min < self.f_max < math.inf:
            raise UserError(f"a mel needs 0 <= f_min < f_max, not {self.f_min} and {self.f_max}")

    @property
    def margin_samples(self) -> int:
        """Audio before and after a segment on which its outermost frames depend, samples, in whole hops."""
        return max(0, -((self.hop - self.window) // (2 * self.hop))) * self.hop

    def per_frame(self, clock: Clock) -> int:
        """Mel frames a video frame. Raises UserError where that is not a whole number, or ``f_max`` is too high."""
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
    """The mouth crop, the same in training and synthesis.

    Args:
        size: side of the stored crop, pixels.
        eye_distances: side of the crop on the face, in distances between the eyes.
        smoothing_seconds: length of the Hann window that smooths position and roll angle, s; 0: no smoothing.
        max_lost_share: largest share of a training clip's frames without a detected face, 0 to 1.
        look_ahead_frames: look-ahead of the crop in video frames, for streaming; null: the whole clip.

    Raises:
        UserError: a number is out of range.
    """

    size: int = 96
    eye_distances: float = 1.5
    smoothing_seconds: float = 0.4
    max_lost_share: float = 0.2
    look_ahead_frames: int | None = None

    def __post_init__(self) -> None:
        check_range(
            self, size=(8, 10_000), smoothing_seconds=(0, 1e4), max_lost_share=(0, 1), look_ahead_frames=(0, 1e6)
        )
        check_range(self, eye_distances=(1e-3, 1e3))
        if self.size % 2:
            raise UserError(f"size {self.size} of a crop must be even", key="size")


def feature_settings(clock: Clock, mel: Mel) -> dict:
    """All settings that define the mel frames, flat; stored with all data and models that contain or expect them."""
    return {**asdict(clock), **asdict(mel)}


def feature_hash(settings: dict) -> str:
    """A short hash of :func:`feature_settings`."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def check_same_features(ours: dict, theirs: dict, our_name: str, their_name: str) -> None:
    """Raises UserError with the fields in which the feature settings of two files or models differ."""
    if feature_hash(ours) == feature_hash(theirs):
        return
    fields = [k for k in sorted({*ours, *theirs}) if ours.get(k) != theirs.get(k)]
    differs = "; ".join(f"{k}: {ours.get(k)} in {our_name}, {theirs.get(k)} in {their_name}" for k in fields)
    raise UserError(f"{our_name} and {their_name} do not share their mel settings ({differs}); use two that do")
