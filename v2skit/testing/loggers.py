"""The contract of a logger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def check_logger(make: Callable[[], Any], run: Path) -> None:
    """Raises AssertionError where a logger breaks its contract, see :mod:`v2skit.training.loggers.logger`.

    Args:
        make: builds the logger; called for a run that is interrupted, and again where it resumes.
        run: an empty folder for the run.
    """
    values = {"total": 1.5, "learning_rate": 1e-3}
    for step, status in ((0, "interrupted"), (2, "finished")):
        before = sorted(run.rglob("*"))
        logger = make()
        assert sorted(run.rglob("*")) == before, "the constructor writes files; start() is to do that"
        logger.start(run, "pretrain", step, {"seed": 1, "losses": {"l1": {"type": "l1", "weight": 1.0}}})
        for kind in ("train", "valid"):
            given = dict(values)
            logger.log(step + 2, kind, given)
            assert given == values, "log() changes the values, which other loggers get as well"
        if hasattr(logger, "audio"):
            logger.audio(step + 2, "predicted", np.zeros(640, np.float32), 16000)
        logger.close(status)
