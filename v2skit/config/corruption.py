"""The section ``pretrain.corruption`` of a config."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from v2skit.config.limits import check_range
from v2skit.errors import UserError


@dataclass(frozen=True)
class Corruption:
    """Corruption of the input of audio pre-training, whose targets stay clean: masks as in SpecAugment (Park et al.
    2019), white noise, and a bottleneck. In training only, except for the bottleneck; all are off by default.

    Args:
        time_share: share of the video frames that are silenced, on average.
        time_seconds: length of a time mask, s, rounded to video frames; masks may overlap.
        band_share: share of the mel bins that are removed from a whole clip, on average.
        band_bins: width of a removed band, mel bins; bands may overlap.
        snr_db: lowest and highest signal-to-noise ratio of white noise, dB, drawn for each clip; null: no noise.
        bottleneck_dim: width of a linear bottleneck behind the audio frontend, which is in the A2A model only and is
            not transferred; null: none.

    Raises:
        UserError: a number is out of range, or nothing is corrupted.
    """

    time_share: float = 0.0
    time_seconds: float = 0.2
    band_share: float = 0.0
    band_bins: int = 8
    snr_db: list[float] | None = None
    bottleneck_dim: int | None = None

    def __post_init__(self) -> None:
        check_range(self, time_share=(0, 0.95), time_seconds=(1e-3, 1e3), band_share=(0, 0.95), band_bins=(1, 4096))
        check_range(self, bottleneck_dim=(1, 65_536))
        if self.snr_db is not None and (len(self.snr_db) != 2 or not -100 <= self.snr_db[0] <= self.snr_db[1] <= 100):
            raise UserError(f"snr_db must be two rising numbers in -100..100 dB, not {self.snr_db}", key="snr_db")
        if not self.on_signal and self.bottleneck_dim is None:
            raise UserError("nothing is corrupted; give time_share, band_share, snr_db or bottleneck_dim, or null")

    @property
    def on_signal(self) -> bool:
        """Whether the signal is corrupted, rather than only its features."""
        return bool(self.time_share or self.band_share or self.snr_db)


def check_corruption(trains: str, runs: Mapping[str, Corruption | None]) -> None:
    """Raises UserError where a run other than audio pre-training has a corruption.

    Args:
        trains: ``v2s`` or ``vocoder``.
        runs: section of each run -> its corruption.
    """
    for run, corruption in runs.items():
        if corruption is not None and (trains, run) != ("v2s", "pretrain"):
            key = f"{run}.corruption"
            raise UserError(f"{key}: only the input of audio pre-training can be corrupted; leave it out", key=key)
