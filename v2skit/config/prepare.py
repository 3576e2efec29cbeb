"""The section ``prepare`` of a config."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from v2skit.config.limits import check_range
from v2skit.errors import UserError


@dataclass(frozen=True)
class Filters:
    """Limits of utterances for audio pre-training; others are left out. Null: no limit.

    Args:
        min_seconds: shortest duration, s.
        max_seconds: longest duration, s.
        max_clipped_share: largest share of clipped samples, see :func:`v2skit.preparation.quality.clipped_share`.
        max_silence_share: largest share of silence in the duration.
        min_rms_dbfs: lowest RMS level, dB relative to full scale.

    Raises:
        UserError: a limit is out of range, or the shortest duration is above the longest.
    """

    min_seconds: float | None = None
    max_seconds: float | None = None
    max_clipped_share: float | None = None
    max_silence_share: float | None = None
    min_rms_dbfs: float | None = None

    def __post_init__(self) -> None:
        check_range(
            self, min_seconds=(0, 1e6), max_seconds=(0, 1e6), max_clipped_share=(0, 1), max_silence_share=(0, 1)
        )
        check_range(self, min_rms_dbfs=(-200, 0))
        least, most = self.min_seconds, self.max_seconds
        if least is not None and most is not None and least > most:
            raise UserError(f"min_seconds {least:g} is above max_seconds {most:g}", key="min_seconds")


@dataclass(frozen=True)
class Prepare:
    """Preparation of data directories.

    Args:
        jobs: number of parallel jobs; 0: one for each core of this machine.
        max_failed_share: largest share of files that may fail; more are an error.
        filters: limits of utterances for audio pre-training.
        cluster: ``local``: jobs are processes of this machine; ``slurm``: jobs are a Slurm job array.
        slurm: sbatch options of the job array, such as ``partition``, ``time`` (minutes), ``mem``.
        offset: of each speaker's audio against the video: ``correct`` it where it exceeds a fifth of a frame,
            ``measure`` and report it only, or ``none``.

    Raises:
        UserError: a number is out of range, or ``jobs`` is not given for Slurm.
    """

    jobs: int = 0
    max_failed_share: float = 0.05
    filters: Filters = Filters()
    cluster: Literal["local", "slurm"] = "local"
    slurm: dict[str, Any] = field(default_factory=dict)
    offset: Literal["correct", "measure", "none"] = "correct"

    def __post_init__(self) -> None:
        check_range(self, jobs=(0, 10_000), max_failed_share=(0, 1))
        if self.cluster == "slurm" and not self.jobs:
            raise UserError("jobs must say how many jobs go to slurm, e.g. --nj 32", key="jobs")
