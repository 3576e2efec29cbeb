"""The section ``scoring`` of a config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from v2skit.config.limits import check_range
from v2skit.registry.component import Component


@dataclass(frozen=True)
class Scoring:
    """Scores of the test set.

    Args:
        metrics: metrics by name.
        asr: speech recognition for the word error rate; null: none.
        bootstrap: number of bootstrap resamples for the 95 % confidence intervals.
        jobs: number of parallel processes; 0: one for each core of this machine.
        aligned: score time-aligned speech as well, in a second table.
        protocol: the protocol whose fields must hold, NAME@VERSION of a shipped one or the path of a file; null: none.

    Raises:
        UserError: a number is out of range.
    """

    metrics: dict[str, Annotated[Component, "metric"]]
    asr: Annotated[Component, "asr"] | None = None
    bootstrap: int = 10000
    jobs: int = 0
    aligned: bool = True
    protocol: str | None = None

    def __post_init__(self) -> None:
        check_range(self, bootstrap=(1, 1e7), jobs=(0, 10_000))
