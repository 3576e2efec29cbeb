"""Settings of augmentation in training with video."""

from __future__ import annotations

from dataclasses import dataclass, field

from v2skit.config.limits import check_range
from v2skit.errors import UserError


@dataclass(frozen=True)
class Augmentation:
    """Augmentation in training with mouth crops: that of SVTS (Mira et al. 2022), and jitter of light and geometry for
    talkers and cameras that the training data lack; and of the tempo of audio and video (Ko et al. 2015).

    Args:
        crop: side of the square cropped from the stored crop, pixels; at random in training, central otherwise.
        flip: probability of a horizontal flip of the clip.
        erase: probability of random erasing, of the same rectangle in all frames of the clip.
        erase_area: smallest and largest share of the frame's area that is erased.
        erase_ratio: smallest and largest aspect ratio of the erased rectangle.
        time_mask_seconds: longest time mask, s; one mask for each second, its frames replaced by the clip's mean.
        brightness: largest change of the mean, as a share of the full range; one for the clip, as those below.
        contrast: largest relative change of the contrast.
        scale: largest relative change of the size of the face, and of its aspect ratio.
        rotation: largest rotation, degrees.
        feature_time_share: share of the video frames whose features the encoder does not get, on average.
        feature_time_seconds: length of a span of such frames, s.
        feature_channel_share: share of the channels of the features that it does not get of a clip, on average.
        tempos: one is drawn for each clip and epoch of training with video: 1.1 plays it faster by a tenth. The speech
            keeps its pitch. Batches of slow clips have more frames than ``batch_frames``, by as much.

    Raises:
        UserError: a number is out of range.
    """

    crop: int = 88
    flip: float = 0.5
    erase: float = 0.5
    erase_area: list[float] = field(default_factory=lambda: [0.02, 0.33])
    erase_ratio: list[float] = field(default_factory=lambda: [0.3, 3.3])
    time_mask_seconds: float = 0.4
    brightness: float = 0.0
    contrast: float = 0.0
    scale: float = 0.0
    rotation: float = 0.0
    feature_time_share: float = 0.0
    feature_time_seconds: float = 0.2
    feature_channel_share: float = 0.0
    tempos: list[float] = field(default_factory=lambda: [1.0])

    def __post_init__(self) -> None:
        check_range(self, crop=(8, 10_000), flip=(0, 1), erase=(0, 1), time_mask_seconds=(0, 1))
        check_range(self, brightness=(0, 1), contrast=(0, 0.9), scale=(0, 0.9), rotation=(0, 180))
        check_range(self, feature_time_share=(0, 0.95), feature_time_seconds=(1e-3, 1e3))
        check_range(self, feature_channel_share=(0, 0.95))
        for name, low, high in (("erase_area", 0, 1), ("erase_ratio", 0, 100)):
            limits = getattr(self, name)
            if len(limits) != 2 or not low < limits[0] <= limits[1] <= high:
                raise UserError(f"{name} must be two rising numbers above {low}, up to {high}, not {limits}", key=name)
        if not self.tempos or not all(0.5 <= tempo <= 2 for tempo in self.tempos):
            raise UserError(f"tempos must be numbers in 0.5..2, at least one, not {self.tempos}", key="tempos")
