"""The hooks of plug-ins for one training run: its events, and the processing of its batches."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from v2skit.config.schema import Config
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.events import implementations

HOOKS = ("training_started", "process_batch", "step_finished", "validated", "training_ended")
"""See :mod:`v2skit.registry.hooks`."""


@dataclass(frozen=True)
class Run:
    """A training run, as hooks get it.

    Args:
        name: ``pretrain``, ``finetune`` or ``scratch``.
        folder: of the run.
        task: ``a2a``, ``v2a`` or ``vocoder``.
        config: of the experiment.
        device: of the model.
        rank: number of this process among those that train together; 0 is the one that writes files.
    """

    name: str
    folder: Path
    task: str
    config: Config
    device: torch.device
    rank: int


def batch_processors(config: Config) -> dict[str, str]:
    """The plug-ins that change the batches of a training: name -> version of the package, or digest of the file.

    Raises:
        UserError: a plug-in's implementation can't be used.
    """
    with plugins.using(config.plugins):
        names = {implementation.plugin for implementation in implementations("process_batch")}
        return {plugin.name: plugin.version for plugin in plugins.loaded()[1] if plugin.name in names}


class RunHooks:
    """Calls the hooks. Without a plug-in that implements one, a call does nothing.

    Raises:
        UserError: a plug-in's implementation can't be used.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        with plugins.using(run.config.plugins):
            self._found = {hook: implementations(hook) for hook in HOOKS}

    def call(self, hook: str, **given: Any) -> None:
        """Call a hook with ``run`` and further arguments. Raises UserError, naming the plug-in, where one fails."""
        for implementation in self._found[hook]:
            implementation(run=self.run, **given)

    def ended(self, status: str) -> None:
        """Call ``training_ended``. Where the run has not finished, so that it has an error already, its own is printed.

        Raises:
            UserError: the run has finished, and a plug-in fails.
        """
        try:
            self.call("training_ended", status=status)
        except UserError as error:
            if status == "finished":
                raise
            print(f"v2skit: {error}", file=sys.stderr)

    def process_batch(self, batch: Batch) -> Batch:
        """The batch after all plug-ins have changed it, one after another.

        Raises:
            UserError: a plug-in fails, or returns anything but a batch.
        """
        for implementation in self._found["process_batch"]:
            changed = implementation(batch=batch, task=self.run.task)
            if not isinstance(changed, Batch):
                raise implementation.error(f"returned {type(changed).__name__}, not a Batch")
            batch = changed
        return batch
