"""A training run as a run of MLflow."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.config.load import flatten
from v2skit.errors import UserError
from v2skit.media.synthesised import write_speech
from v2skit.system.atomic import write_text

ID = "mlflow_run_id"
"""File in the run's folder: the id with which an interrupted run resumes."""
STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
BATCH, MAX_CHARACTERS = 100, 500
"""Parameters of one request, and characters of a value, that any server accepts."""
DEFAULTS = {
    # By itself, MLflow repeats requests to a server that is away for minutes, in which training would stand still.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    # Version 3 asks for it, in favour of SQLite, which mlflow-skinny lacks.
    "MLFLOW_ALLOW_FILE_STORE": "true",
}
"""Environment variables of MLflow, where they are not set."""


class Mlflow:
    """Logs config, losses, and the samples of each validation.

    Args:
        experiment: of MLflow; created where there is none.
        tracking_uri: server or folder; null: $MLFLOW_TRACKING_URI, or else ``mlruns/`` in the folder of the experiment.

    Raises:
        UserError: MLflow is not installed.
    """

    def __init__(self, experiment: str = "v2skit", tracking_uri: str | None = None) -> None:
        for name, value in DEFAULTS.items():
            os.environ.setdefault(name, value)
        try:
            from mlflow import MlflowClient, entities, exceptions
        except ImportError as error:
            raise UserError(f"the package mlflow can't be imported ({error}): pip install mlflow-skinny") from error
        self._new_client, self._entities, self._error = MlflowClient, entities, exceptions.MlflowException
        self.experiment, self.tracking_uri = experiment, tracking_uri

    def start(self, run: Path, name: str, step: int, config: dict[str, Any]) -> None:
        """Begin a run, or resume the one whose id is in the folder.

        Raises:
            UserError: MLflow does not have the run of this id.
        """
        files = (run.parent / "mlruns").resolve().as_uri()
        uri = self.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or files
        self._client, path = self._new_client(tracking_uri=uri), run / ID
        if path.exists():
            self._id = path.read_text(encoding="utf-8").strip()
            try:
                self._client.update_run(self._id, "RUNNING")
            except self._error as error:
                why = f"{uri} does not go on with run '{self._id}' ({error})"
                raise UserError(f"{why}; delete {path} to begin a new one", path=path) from error
        else:
            self._id = self._begin(f"{run.parent.name}/{name}", config)
            write_text(path, self._id + "\n")
        self._client.log_dict(self._id, config, "config.yaml")

    def _begin(self, name: str, config: dict[str, Any]) -> str:
        """Create a run, with the config as its parameters, which can't be changed later. Returns its id."""
        found = self._client.get_experiment_by_name(self.experiment)
        experiment = found.experiment_id if found else self._client.create_experiment(self.experiment)
        id_ = self._client.create_run(experiment, run_name=name).info.run_id
        flat = {_allowed(key): str(value)[:MAX_CHARACTERS] for key, value in flatten(config).items()}
        params = [self._entities.Param(key, value) for key, value in flat.items()]
        for first in range(0, len(params), BATCH):
            self._client.log_batch(id_, params=params[first : first + BATCH])
        return id_

    def log(self, step: int, kind: str, values: dict[str, float]) -> None:
        """Metrics ``KIND/NAME``."""
        now = int(1000 * time.time())
        pairs = ((_allowed(f"{kind}/{name}"), value) for name, value in values.items())
        metrics = [self._entities.Metric(name, value, now, step) for name, value in pairs]
        self._client.log_batch(self._id, metrics=metrics)

    def audio(self, step: int, name: str, waveform: np.ndarray, rate: int) -> None:
        """Synthesised speech, as the artifact ``samples/step-N-NAME.wav``."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"step-{step:08d}-{name}.wav"
            write_speech(path, [waveform], rate)
            self._client.log_artifact(self._id, str(path), "samples")

    def image(self, step: int, name: str, path: Path) -> None:
        """The plot of its mel, beside it."""
        self._client.log_artifact(self._id, str(path), "samples")

    def close(self, status: str) -> None:
        """End the run."""
        self._client.set_terminated(self._id, STATUS[status])


def _allowed(name: str) -> str:
    """A name without the characters that MLflow refuses."""
    return re.sub(r"[^A-Za-z0-9_\-. :/]", "_", name)
