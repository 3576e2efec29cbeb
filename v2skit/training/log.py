"""The log of a run: its loggers, and a progress bar with the estimated remaining time."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from v2skit.errors import UserError
from v2skit.registry.failure import failure
from v2skit.system.progress import ProgressBar
from v2skit.training.samples import Sample


class RunLog:
    """Log of a run, written by its loggers. One that fails during the run is named once, closed, and left out from then
    on.

    Args:
        run: the run's folder.
        name: before the progress bar.
        step: optimiser steps already taken; logged values of an interrupted run after these are repeated.
        steps: in total.
        loggers: by their name in the config, see :class:`v2skit.training.loggers.logger.Logger`.
        config: of the experiment, as a plain tree.

    Raises:
        UserError: a logger can't start; those before it are closed.
    """

    def __init__(
        self, run: Path, name: str, step: int, steps: int, loggers: Mapping[str, Any], config: dict[str, Any]
    ) -> None:
        self._loggers: dict[str, Any] = {}
        run.mkdir(parents=True, exist_ok=True)
        for logger_name, logger in loggers.items():
            try:
                logger.start(run, name, step, config)
            except BaseException as error:  # a plug-in may fail in any way, or call sys.exit()
                self._each("close", "failed")
                raise UserError(
                    f"logger '{logger_name}' can't start: {failure(error)}; correct that, or leave it out with --set "
                    f"loggers.{logger_name}=null",
                    logger=logger_name,
                ) from error
            self._loggers[logger_name] = logger
        self._bar = ProgressBar(total=steps, initial=step, desc=name, unit="step")
        self._seconds, self._waited, self._started, self._steps = 0.0, 0.0, time.perf_counter(), 0

    def step(self, waited: float) -> None:
        """Count an optimiser step, of which ``waited`` seconds were spent on waiting for data."""
        self._waited += waited
        self._steps += 1
        self._bar.update()

    def pause(self, seconds: float) -> None:
        """Exclude time, in seconds, from the speed of the steps."""
        self._started += seconds

    def write(self, step: int, kind: str, values: dict[str, float]) -> None:
        """Log values of ``kind`` (``train`` or ``valid``); those of training include the speed since the last ones."""
        if kind == "train":
            seconds = time.perf_counter() - self._started
            share = round(self._waited / max(seconds, 1e-9), 4)
            speed = {"seconds_per_step": round(seconds / max(1, self._steps), 4), "waiting_share": share}
            values = {**values, **speed}
            self._started, self._waited, self._steps = time.perf_counter(), 0.0, 0
            self._bar.set_postfix_str(f"loss {values['total']:.3f}, waiting for data {share:.0%}", refresh=False)
        self._each("log", step, kind, dict(values))

    def sample(self, step: int, sample: Sample) -> None:
        """Log a clip synthesised in validation, with the loggers that can."""
        self._each("audio", step, "predicted", sample.waveform, sample.rate)
        self._each("image", step, "mel", sample.picture)

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        self._bar.write(text)

    def close(self, status: str) -> None:
        """Flush and close; ``status`` is ``finished``, ``interrupted`` or ``failed``."""
        self._bar.close()
        self._each("close", status)

    def _each(self, method: str, *arguments: Any) -> None:
        """Call a method of all loggers that have it, and leave out those that fail."""
        for name, logger in list(self._loggers.items()):
            if not hasattr(logger, method):
                continue
            try:
                getattr(logger, method)(*arguments)
            except BaseException as error:  # a plug-in may fail in any way, or call sys.exit()
                why = failure(error)
                del self._loggers[name]
                if method != "close":
                    with suppress(BaseException):  # it has failed already
                        logger.close("failed")
                ProgressBar.write(f"v2skit: logger '{name}' failed and is left out from now on: {why}", file=sys.stderr)


class NoLog:
    """Stands for the log in processes that write none."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *arguments: None
