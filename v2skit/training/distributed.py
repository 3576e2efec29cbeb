"""What several training processes share: a roll call that names who is missing, and sums over all of them.

Gradients are exchanged after the backward pass, not within it as DistributedDataParallel does: a process that dies or
hangs in its backward pass is then missing at the roll call before the exchange, and named, where all others would wait
in the exchange for it. Frozen parts, critics and parameters without a gradient need nothing special either.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

from v2skit.errors import UserError

PATIENCE = 10
"""How many times longer to wait where one process has more to do than others: at the start, and after checkpoints."""
BUCKET = 2**24
"""Numbers that are exchanged at once."""


class Lost(UserError):
    """Processes did not come to the roll call; ``ranks`` are theirs, where they are known."""

    def __init__(self, message: str, ranks: list[int] | None = None) -> None:
        super().__init__(message)
        self.ranks = ranks or []


class Processes:
    """The processes that train together. Without arguments it is a single one, and every exchange does nothing.

    Args:
        rank: which one this is.
        world: how many there are.
        timeout: how long to wait for a process that does not come, seconds.
        control: the gloo group of the roll calls.
    """

    def __init__(self, rank: int = 0, world: int = 1, timeout: float = 300.0, control: Any = None) -> None:
        self.rank, self.world, self.timeout, self._control = rank, world, timeout, control

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def gather(self, told: Any, when: str, patience: float = 1.0) -> list[Any]:
        """Tell all processes something, and learn what they tell; it is a roll call as well.

        Args:
            told: of this process; what JSON can hold.
            when: for the message, e.g. ``in step 3``.
            patience: how many times longer than usual to wait.

        Returns:
            what each process told, by rank.

        Raises:
            Lost: processes are dead or did not come in time; it names them.
        """
        if self.world == 1:
            return [told]
        seconds = patience * self.timeout
        end = time.monotonic() + seconds
        if not self.first:
            late = end + seconds  # the first may be waiting for another one
            try:
                self._send(told, 0, late)
                return self._receive(0, late)
            except RuntimeError as error:
                raise _lost([0], when, late, 2 * seconds) from error
        every, missing = [told], []
        for rank in range(1, self.world):
            try:
                every.append(self._receive(rank, end))
            except RuntimeError as error:
                missing.append(rank)
                if time.monotonic() < end:
                    raise _lost(missing, when, end, seconds) from error
        if missing:
            raise _lost(missing, when, end, seconds)
        for rank in range(1, self.world):
            end = time.monotonic() + seconds
            try:
                self._send(every, rank, end)
            except RuntimeError as error:
                raise _lost([rank], when, end, seconds) from error
        return every

    def _send(self, told: Any, rank: int, end: float) -> None:
        data = torch.frombuffer(bytearray(json.dumps(told).encode()), dtype=torch.uint8)
        for tensor in (torch.tensor([len(data)]), data):
            _wait(torch.distributed.isend(tensor, rank, group=self._control), end)

    def _receive(self, rank: int, end: float) -> Any:
        size = torch.zeros(1, dtype=torch.int64)
        _wait(torch.distributed.irecv(size, rank, group=self._control), end)
        data = torch.zeros(int(size), dtype=torch.uint8)
        _wait(torch.distributed.irecv(data, rank, group=self._control), end)
        return json.loads(bytes(data.tolist()))

    def sum(self, tensors: list[Tensor]) -> None:
        """Replace tensors, as many on every process, by their sums over all processes."""
        if self.world == 1:
            return
        for bucket in _buckets(tensors):
            flat = torch.cat([tensor.flatten() for tensor in bucket])
            self._exchange(torch.distributed.all_reduce, flat)
            for tensor, total in zip(bucket, flat.split([t.numel() for t in bucket]), strict=True):
                tensor.copy_(total.view_as(tensor))

    def copy_first(self, module: nn.Module) -> None:
        """Give all processes the weights and buffers of the first."""
        if self.world > 1:
            for tensor in (*module.parameters(), *module.buffers()):
                same = tensor.detach().contiguous()
                self._exchange(torch.distributed.broadcast, same, 0)
                tensor.data.copy_(same)

    def _exchange(self, exchange: Callable, *arguments: Any) -> None:
        """An exchange that all have come to. Raises Lost where processes get lost in it."""
        try:
            exchange(*arguments, async_op=True).wait(timedelta(seconds=self.timeout))
        except RuntimeError as error:
            self.gather(None, "in an exchange")
            raise Lost(f"an exchange between the processes broke off ({str(error).splitlines()[0]})") from error


class Gradients:
    """Gradients of a turn of batches. Of more than two they are summed in double precision on a CPU, where results are
    exact: their order, and so the number of processes, then makes no difference.

    Args:
        parameters: the same on every process.
        processes: that take part in the turn.
        batches: of a turn, all processes together.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], processes: Processes, batches: int) -> None:
        self._parameters, self._processes, self._batches = list(parameters), processes, batches
        self._exact = batches > 2 and all(p.device.type == "cpu" for p in self._parameters)
        self._sums: list[Tensor | None] = [None] * len(self._parameters)

    def add(self) -> None:
        """The gradients of one batch are there."""
        if not self._exact:
            return
        for number, parameter in enumerate(self._parameters):
            if parameter.grad is not None:
                before = self._sums[number]
                self._sums[number] = parameter.grad.double() if before is None else before.add_(parameter.grad)
                parameter.grad = None

    def average(self) -> None:
        """Make them means over the batches of all processes. A parameter that has a gradient nowhere keeps none."""
        wanted = [number for number, parameter in enumerate(self._parameters) if parameter.requires_grad]
        parameters = [self._parameters[number] for number in wanted]
        sums = [self._sums[number] for number in wanted] if self._exact else [p.grad for p in parameters]
        self._sums = [None] * len(self._parameters)
        if self._processes.world > 1 and parameters:
            dtype = torch.float64 if self._exact else parameters[0].dtype
            given = torch.tensor([total is not None for total in sums], dtype=dtype, device=parameters[0].device)
            pairs = zip(parameters, sums, strict=True)
            whole = [torch.zeros_like(p, dtype=dtype) if total is None else total for p, total in pairs]
            self._processes.sum([given, *whole])
            sums = [total if count else None for total, count in zip(whole, given.tolist(), strict=True)]
        for parameter, total in zip(parameters, sums, strict=True):
            parameter.grad = None if total is None else (total / self._batches).to(parameter.dtype)


class Statistics:
    """Running statistics of a turn of batches: each batch moves them from where they were before the turn, after which
    they are the mean over all batches of all processes (counts of batches: the sum).

    Args:
        model: whose buffers are meant.
        processes: that take part in the turn.
        batches: of a turn, all processes together.
    """

    def __init__(self, model: nn.Module, processes: Processes, batches: int) -> None:
        kept = model.state_dict().keys()
        self._buffers = [b for name, b in model.named_buffers() if name in kept] if batches > 1 else []
        self._processes, self._batches = processes, batches
        self._start: list[Tensor] = []
        self._changes: list[Tensor] = []

    def begin(self) -> None:
        """A turn begins."""
        self._start = [buffer.clone() for buffer in self._buffers]
        self._changes = [torch.zeros_like(buffer, dtype=_sums_in(buffer)) for buffer in self._buffers]

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Within it, the model sees one batch of the turn."""
        self._set(self._start)
        yield
        for buffer, start, change in zip(self._buffers, self._start, self._changes, strict=True):
            change.add_(buffer - start)

    def finish(self) -> None:
        """The turn is over."""
        self._processes.sum(self._changes)
        for change in self._changes:
            if change.is_floating_point():
                change.div_(self._batches)
        pairs = zip(self._start, self._changes, strict=True)
        self._set([start + change.to(start.dtype) for start, change in pairs])

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Within it, the model sees a batch once more; its statistics stay."""
        before = [buffer.clone() for buffer in self._buffers]
        yield
        self._set(before)

    def _set(self, values: list[Tensor]) -> None:
        for buffer, value in zip(self._buffers, values, strict=True):
            buffer.data.copy_(value)  # .data: a graph that is not used up yet may hold the buffer


def _sums_in(tensor: Tensor) -> torch.dtype:
    """In what such tensors are summed: as :class:`Gradients` are."""
    return torch.float64 if tensor.is_floating_point() and tensor.device.type == "cpu" else tensor.dtype


def _lost(ranks: list[int], when: str, end: float, seconds: float) -> Lost:
    """What to tell of ranks that did not answer: those that are gone are noticed before the end of the wait."""
    names = ", ".join(map(str, ranks))
    if time.monotonic() < end:
        return Lost(f"rank {names} has ended {when}", ranks)
    return Lost(f"rank {names} is stuck: not there {seconds:g} s after the others {when}", ranks)


def _wait(work: torch.distributed.Work | None, end: float) -> None:
    """Raises RuntimeError where the other side is gone, or still not there at the end (of the monotonic clock)."""
    assert work is not None, "this process is one of the group"
    work.wait(timedelta(seconds=max(0.05, end - time.monotonic())))


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


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    """Tensors of the same type, as many as fit into a bucket, at least one."""
    for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
        bucket: list[Tensor] = []
        for tensor in (t for t in tensors if t.dtype == dtype):
            if bucket and sum(t.numel() for t in bucket) + tensor.numel() > BUCKET:
                yield bucket
                bucket = []
            bucket.append(tensor)
        yield bucket
