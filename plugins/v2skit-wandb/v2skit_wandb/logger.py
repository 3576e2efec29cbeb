"""A training run as a run of Weights & Biases."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Literal

import numpy as np

from v2skit.errors import UserError
from v2skit.system.atomic import write_text

ID = "wandb_id"
"""File in the run's folder: the id with which an interrupted run resumes."""
EXIT_CODES = {"finished": 0, "failed": 1, "interrupted": 255}
"""Status -> exit code; W&B shows 255 as killed."""


class Wandb:
    """Logs config, losses, and the samples of each validation.

    Args:
        project: of W&B.
        entity: user or team; null: the account's own.
        mode: ``online``, or ``offline`` (files only, for ``wandb sync``); null: $WANDB_MODE, or else online.
        tags: of the run.

    Raises:
        UserError: wandb is not installed.
    """

    def __init__(
        self,
        project: str = "v2skit",
        entity: str | None = None,
        mode: Literal["online", "offline"] | None = None,
        tags: tuple[str, ...] = (),
    ) -> None:
        try:
            import wandb
        except ImportError as error:
            raise UserError(f"the package wandb can't be imported ({error}): pip install 'wandb>=0.20'") from error
        self._wandb = wandb
        self._options: dict[str, Any] = {"project": project, "entity": entity, "mode": mode, "tags": tags}

    def start(self, run: Path, name: str, step: int, config: dict[str, Any]) -> None:
        """Begin a run, or resume the one whose id is in the folder."""
        path = run / ID
        known = path.read_text(encoding="utf-8").strip() if path.exists() else ""
        if not known:
            known = secrets.token_hex(4)
            write_text(path, known + "\n")
        self._run = self._wandb.init(
            id=known,
            resume="allow",
            reinit="create_new",  # stage 4 trains two models in one process
            dir=str(run),
            name=f"{run.parent.name}/{name}",
            group=run.parent.name,
            config=config,
            allow_val_change=True,  # such as the number of workers, since the run was interrupted
            settings=self._wandb.Settings(console="off"),  # the progress bar stays as it is
            **self._options,
        )
        # W&B's own step can't go back, as an interrupted run does: steps after the last checkpoint are repeated.
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def log(self, step: int, kind: str, values: dict[str, float]) -> None:
        """Curves ``KIND/NAME``, over ``step``."""
        self._run.log({"step": step, **{f"{kind}/{name}": value for name, value in values.items()}})

    def audio(self, step: int, name: str, waveform: np.ndarray, rate: int) -> None:
        """Synthesised speech, to be played on the run's page."""
        self._run.log({"step": step, f"samples/{name}": self._wandb.Audio(waveform, sample_rate=rate)})

    def image(self, step: int, name: str, path: Path) -> None:
        """The plot of its mel."""
        self._run.log({"step": step, f"samples/{name}": self._wandb.Image(str(path))})

    def close(self, status: str) -> None:
        """Send what is left, and end the run."""
        self._run.finish(exit_code=EXIT_CODES[status])
