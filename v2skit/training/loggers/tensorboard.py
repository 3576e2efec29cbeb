"""``tensorboard/``: the values of each logged step as curves of TensorBoard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from v2skit.system.extras import needs


class TensorBoard:
    """Writes ``tensorboard/``. On resuming, values of steps that will be repeated are hidden.

    Raises:
        UserError: TensorBoard is not installed.
    """

    def __init__(self) -> None:
        with needs("train", "logger 'tensorboard'", "leave it out with --set loggers.tensorboard=null"):
            from torch.utils.tensorboard import SummaryWriter
        self._writer_class = SummaryWriter

    def start(self, run: Path, name: str, step: int, config: dict[str, Any]) -> None:
        """See :class:`v2skit.training.loggers.logger.Logger`."""
        self._writer = self._writer_class(str(run / "tensorboard"), purge_step=step + 1)

    def log(self, step: int, kind: str, values: dict[str, float]) -> None:
        """Add a point to the curve ``KIND/NAME`` of each value."""
        for name, value in values.items():
            self._writer.add_scalar(f"{kind}/{name}", value, step)

    def close(self, status: str) -> None:
        """Flush and close the files."""
        self._writer.close()
