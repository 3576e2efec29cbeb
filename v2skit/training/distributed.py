"""Exchanges between training processes: a roll call that names missing processes, sums and broadcasts.

Gradients are exchanged after the backward pass, not within it as in DistributedDataParallel: a process that dies or
hangs in its backward pass is then missing at the roll call before the exchange and is named, where all others would
wait in the exchange for it. Frozen parts, discriminators and parameters without a gradient need no special cases.

The roll call is not ``torch.distributed.monitored_barrier``: that one names missing ranks only in the text of its
error, only on rank 0, and carries no payload, so that each step would need a second exchange.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from v2skit.errors import UserError

SLOW = 10
"""Factor on the timeout where the processes do not have the same work: at the start and after checkpoints."""
BUCKET = 2**24
"""Numbers that are exchanged at once."""


class Lost(UserError):
    """Processes are missing in an exchange; the field ``ranks`` holds those that are known."""

    def __init__(self, message: str, ranks: list[int] | None = None) -> None:
        super().__init__(message, ranks=ranks or [])


class Processes:
    """The processes that train together. Without arguments it is a single one, and every exchange does nothing.

    Args:
        rank: of this process.
        world: number of processes.
        timeout: for the other processes, seconds.
        control: the gloo group of the roll calls.
    """

    def __init__(self, rank: int = 0, world: int = 1, timeout: float = 300.0, control: Any = None) -> None:
        self.rank, self.world, self.timeout, self._control = rank, world, timeout, control

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and prints."""
        return self.rank == 0

    def gather(self, payload: Any, when: str, timeout_factor: float = 1.0) -> list[Any]:
        """Roll call: exchange payloads between all processes.

        Args:
            payload: of this process; what JSON can hold.
            when: for the message, e.g. ``in step 3``.
            timeout_factor: on the timeout.

        Returns:
            the payload of each process, by rank.

        Raises:
            Lost: processes are dead or did not come in time; it names them.
        """
        if self.world == 1:
            return [payload]
        seconds = timeout_factor * self.timeout
        end = time.monotonic() + seconds
        if not self.first:
            late = end + seconds  # the first process may be waiting for another one
            try:
                self._send(payload, 0, late)
                return self._receive(0, late)
            except RuntimeError as error:
                raise _lost([0], when, late, 2 * seconds) from error
        payloads, missing = [payload], []
        for rank in range(1, self.world):
            try:
                payloads.append(self._receive(rank, end))
            except RuntimeError as error:
                missing.append(rank)
                if time.monotonic() < end:
                    raise _lost(missing, when, end, seconds) from error
        if missing:
            raise _lost(missing, when, end, seconds)
        for rank in range(1, self.world):
            end = time.monotonic() + seconds
            try:
                self._send(payloads, rank, end)
            except RuntimeError as error:
                raise _lost([rank], when, end, seconds) from error
        return payloads

    def _send(self, payload: Any, rank: int, end: float) -> None:
        data = torch.frombuffer(bytearray(json.dumps(payload).encode()), dtype=torch.uint8)
        for tensor in (torch.tensor([len(data)]), data):
            _wait(torch.distributed.isend(tensor, rank, group=self._control), end)

    def _receive(self, rank: int, end: float) -> Any:
        size = torch.zeros(1, dtype=torch.int64)
        _wait(torch.distributed.irecv(size, rank, group=self._control), end)
        data = torch.zeros(int(size), dtype=torch.uint8)
        _wait(torch.distributed.irecv(data, rank, group=self._control), end)
        return json.loads(bytes(data.tolist()))

    def sum(self, tensors: list[Tensor]) -> None:
        """Replace tensors, the same number on every process, by their sums over all processes."""
        if self.world == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.flatten() for tensor in bucket])
            self._exchange(torch.distributed.all_reduce, flat)
            for tensor, total in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def broadcast(self, module: nn.Module) -> None:
        """Give all processes the weights and buffers of the first."""
        if self.world > 1:
            for tensor in (*module.parameters(), *module.buffers()):
                same = tensor.detach().contiguous()
                self._exchange(torch.distributed.broadcast, same, 0)
                tensor.data.copy_(same)

    def _exchange(self, exchange: Callable, *arguments: Any) -> None:
        """An exchange after a roll call. Raises Lost where processes get lost in it."""
        try:
            # With a timeout, NCCL waits for the device: else a lost process would first show after NCCL's own timeout.
            exchange(*arguments, async_op=True).wait(timedelta(seconds=self.timeout))
        except RuntimeError as error:
            self.gather(None, "in an exchange")
            raise Lost(f"an exchange between the processes broke off ({str(error).splitlines()[0]})") from error


class RollCall:
    """The roll calls of a training run. They also tell all processes whether one of them was asked to stop.

    Args:
        processes: that train together.

    Attributes:
        signalled: this process was asked to stop, by SIGINT or SIGTERM.
        stop: at the last roll call, some process was.
        timeout_factor: see :meth:`Processes.gather`.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        self.signalled, self.stop = False, False
        self.timeout_factor = SLOW

    def gather(self, payload: Any, when: str) -> list[Any]:
        """See :meth:`Processes.gather`."""
        reports = self.processes.gather([self.signalled, payload], when, self.timeout_factor)
        self.stop = any(signalled for signalled, _ in reports)
        return [payload for _, payload in reports]


def check_shares(accumulate: int, world: int) -> None:
    """Raises UserError where processes can't share the batches of a step evenly."""
    if accumulate % world:
        low = accumulate // world * world
        values = " or ".join(str(value) for value in (low, low + world) if value)
        raise UserError(
            f"a step of {accumulate} batches can't be shared evenly by {world} processes; set accumulate to {values} "
            "(--set pretrain.accumulate=N for stage 2, finetune.accumulate for stage 4), with a batch_frames that "
            "makes up for it, or start as many processes as divide it"
        )


def _lost(ranks: list[int], when: str, end: float, seconds: float) -> Lost:
    """The error for ranks that did not answer; those that have ended are noticed before the end of the timeout."""
    names = ", ".join(map(str, ranks))
    if time.monotonic() < end:
        return Lost(f"rank {names} has ended {when}", ranks)
    return Lost(f"rank {names} is stuck: not there {seconds:g} s after the others {when}", ranks)


def _wait(work: torch.distributed.Work | None, end: float) -> None:
    """Raises RuntimeError where the other process has ended, or, not before ``end`` (monotonic clock), is missing.

    torch cuts a timeout off to whole milliseconds; rounded up, since a timeout before ``end`` reads as "has ended".
    """
    assert work is not None, "this process is one of the group"
    work.wait(timedelta(milliseconds=max(50, math.ceil(1000 * (end - time.monotonic())) + 1)))


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of one type that together have at most BUCKET elements, or a single larger one."""
    for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
        bucket: list[Tensor] = []
        for tensor in (t for t in tensors if t.dtype == dtype):
            if bucket and sum(t.numel() for t in bucket) + tensor.numel() > BUCKET:
                yield bucket
                bucket = []
            bucket.append(tensor)
        yield bucket
