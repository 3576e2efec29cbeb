"""Batches on the device, read in worker processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from v2skit.data.batch import Batch
from v2skit.data.dataset import SpeechDataset, collate
from v2skit.data.sampler import Key
from v2skit.errors import UserError
from v2skit.signal.mel import MelSpectrogram

PREFETCHED = 4
"""Batches that each worker process reads ahead."""
GRACE_SECONDS = 1.0
END = signal.SIGUSR1
"""Ends a worker process."""


class BatchLoader:
    """Reads batches and moves them to the device, where their mel is computed.

    Args:
        data: the clips.
        keys: of the clips of each batch.
        workers: processes that read; 0: the reading is done when a batch is needed.
        device: of the batches.
        spectrogram: computes the mel (B,F,M) of a batch, on the same device.
        targets: that compute further streams of a batch there, by the name of the stream.
    """

    def __init__(
        self,
        data: SpeechDataset,
        keys: Iterable[list[Key]],
        workers: int,
        device: torch.device,
        spectrogram: MelSpectrogram,
        targets: Mapping[str, nn.Module] | None = None,
    ) -> None:
        self._device, self._spectrogram, self._targets = device, spectrogram, targets or {}
        self._loader: Any = DataLoader(
            _ErrorsAsData(data),
            batch_sampler=keys,
            collate_fn=_collate,
            num_workers=workers,
            # Python 3.14's default, a fork server, is a worker's parent: the worker would outlive a killed run.
            multiprocessing_context="fork" if workers else None,
            worker_init_fn=_start_worker,
            persistent_workers=workers > 0,
            pin_memory=device.type == "cuda",
            prefetch_factor=PREFETCHED if workers else None,
        )
        self._batches: Any = None
        self._workers: set[Any] = set()
        self._waited = 0.0

    def __iter__(self) -> Iterator[Batch]:
        others = set(multiprocessing.active_children())
        self._batches = iter(self._loader)
        self._workers |= set(multiprocessing.active_children()) - others
        return self

    def __next__(self) -> Batch:
        """The next batch. Raises UserError for defects of the data that a worker process found."""
        start = time.perf_counter()
        batch = next(self._batches)
        self._waited += time.perf_counter() - start
        if isinstance(batch, UserError):
            raise batch
        batch = batch.to(self._device).with_mel(self._spectrogram)
        with torch.no_grad():
            for name, target in self._targets.items():
                batch = replace(batch, extras={**batch.extras, name: target(batch)})
        return batch

    def waiting_seconds(self) -> float:
        """Seconds spent on waiting for batches since the last call."""
        seconds, self._waited = self._waited, 0.0
        return seconds

    def check_workers(self, error: Exception) -> None:
        """Raises UserError instead of ``error`` if a worker process was killed. torch has no type of its own for that:
        it is a RuntimeError, from a signal handler and thus anywhere in a step, or an error of the connection."""
        # A connection breaks off a little before its process has ended.
        if self._workers and wait([worker.sentinel for worker in self._workers], GRACE_SECONDS):
            raise UserError(
                f"{error}; possibly out of memory: lower workers or cache_mb, then run the same command again"
            ) from error

    def close(self) -> None:
        """End the worker processes."""
        self._batches = self._loader = None
        for worker in self._workers:  # still there if an error's traceback refers to torch's iterator
            if worker.is_alive():
                os.kill(worker.pid, END)
                worker.join()


class _ErrorsAsData(Dataset):
    """Returns UserErrors instead of raising them: raised in a worker process, they would leave torch's loader with the
    worker's traceback as their message."""

    def __init__(self, data: SpeechDataset) -> None:
        self._data = data

    def __getitem__(self, key: Key) -> Any:
        try:
            return self._data[key]
        except UserError as error:
            return error


def _collate(clips: list[Any]) -> Batch | UserError:
    """The batch of the clips, or the first error among them."""
    errors = [clip for clip in clips if isinstance(clip, UserError)]
    return errors[0] if errors else collate(clips)


def _start_worker(number: int) -> None:
    """Workers leave signals to the training loop, and the cores to the model."""
    signal.signal(END, lambda number, frame: os._exit(0))  # another status would be an error for torch
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    torch.set_num_threads(1)
