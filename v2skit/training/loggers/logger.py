"""The logger protocol: what a run reports to each of its loggers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Logger(Protocol):
    """A logger component. Only the first of several processes has loggers.

    Its constructor imports the package that it needs and writes nothing, so that a missing package is an error before a
    run begins. An exception in :meth:`start` is an error before training; an exception later ends the logger, not the
    run. Further methods for the clip that each validation synthesises are optional, see :class:`SampleLogger`.
    """

    def start(self, run: Path, name: str, step: int, config: dict[str, Any]) -> None:
        """Begin, or resume the log of an interrupted run, in which steps after ``step`` will be repeated.

        Args:
            run: the run's folder, which exists; what identifies the log for resuming is stored there.
            name: of the run, such as ``pretrain``.
            step: optimiser steps already taken.
            config: of the experiment, as dicts, lists and scalars; plug-in files by name and digest, without source.
        """

    def log(self, step: int, kind: str, values: dict[str, float]) -> None:
        """Log the values of a step.

        Args:
            step: optimiser steps taken.
            kind: ``train`` or ``valid``.
            values: by name: the total loss and each loss; for ``train`` also gradient norm, learning rate and speed.
        """

    def close(self, status: str) -> None:
        """Flush and close; ``status`` is ``finished``, ``interrupted`` or ``failed``."""


class SampleLogger(Logger, Protocol):
    """A logger of the validation samples as well."""

    def audio(self, step: int, name: str, waveform: np.ndarray, rate: int) -> None:
        """Log synthesised speech (N,), in [-1, 1], at ``rate`` Hz."""

    def image(self, step: int, name: str, path: Path) -> None:
        """Log a picture, a PNG file: the log mel of the clip, target above, prediction below."""
