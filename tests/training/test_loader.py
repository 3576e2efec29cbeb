"""Errors of worker processes arrive as what they are, and no worker process is left behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest
import torch

from v2skit.errors import UserError
from v2skit.training.loader import BatchLoader


class Damaged:
    def __getitem__(self, key):
        raise UserError("a.flac is damaged; prepare it again", path="a.flac")


class Broken:
    def __getitem__(self, key):
        raise RuntimeError("a defect of the code")


class Killed:
    def __getitem__(self, key):
        os.kill(os.getpid(), signal.SIGKILL)


def loader_of(data, workers: int) -> BatchLoader:
    return BatchLoader(data, [[0, 1], [2, 3]], workers, torch.device("cpu"), None)


def no_children() -> bool:
    end = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < end:
        time.sleep(0.05)
    return not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_the_data_keeps_its_message_and_fields(workers):
    loader = loader_of(Damaged(), workers)
    with pytest.raises(UserError, match=r"^a.flac is damaged; prepare it again$") as error:
        next(iter(loader))
    assert error.value.fields == {"path": "a.flac"} and loader.waiting_seconds() > 0 == loader.waiting_seconds()
    loader.close()
    assert no_children()


def test_a_killed_worker_is_distinguished_from_a_defect():
    loader = loader_of(Broken(), 1)
    with pytest.raises(RuntimeError, match="a defect of the code") as error:
        next(iter(loader))
    loader.check_workers(error.value)
    loader.close()
    loader = loader_of(Killed(), 2)
    with pytest.raises((RuntimeError, OSError, EOFError)) as error:
        next(iter(loader))
    with pytest.raises(UserError, match="possibly out of memory: lower workers or cache_mb"):
        loader.check_workers(error.value)
    loader.close()
    assert no_children()
