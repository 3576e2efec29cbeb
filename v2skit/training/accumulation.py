"""Gradients and batch statistics of several batches, on one or several processes, as those of one large batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import reduce
from operator import or_

import torch
from torch import Tensor, nn

from v2skit.training.distributed import Processes


class Gradients:
    """Accumulates the gradients of a number of batches. More than two are summed in double precision on a CPU, where
    the sums are exact: their order, and so the number of processes, then makes no difference.

    Args:
        parameters: the same on every process.
        processes: that share the batches.
        batches: of all processes together.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], processes: Processes, batches: int) -> None:
        self._parameters, self._processes, self._batches = list(parameters), processes, batches
        self._exact = batches > 2 and all(p.device.type == "cpu" for p in self._parameters)
        self._sums: list[Tensor | None] = [None] * len(self._parameters)

    def add(self) -> None:
        """Accumulate the gradients of one batch, which ``backward()`` left in the parameters."""
        if not self._exact:
            return  # backward() has added them
        for number, parameter in enumerate(self._parameters):
            if parameter.grad is not None:
                before = self._sums[number]
                self._sums[number] = parameter.grad.double() if before is None else before.add_(parameter.grad)
                parameter.grad = None

    def present(self) -> int:
        """Which parameters have a gradient on this process: bit n is parameter n."""
        return sum((total is not None) << number for number, total in enumerate(self._totals()))

    def average(self, present: list[int]) -> None:
        """Replace the gradients by their means over all batches of all processes. A parameter without a gradient on
        every process is left without one.

        Args:
            present: :meth:`present` of each process.
        """
        anywhere, totals = reduce(or_, present), self._totals()
        self._sums = [None] * len(self._parameters)
        pairs = [(p, t) for n, (p, t) in enumerate(zip(self._parameters, totals, strict=True)) if anywhere >> n & 1]
        sums = [
            torch.zeros_like(p, dtype=torch.float64 if self._exact else p.dtype) if t is None else t for p, t in pairs
        ]
        self._processes.sum(sums)
        for (parameter, _), total in zip(pairs, sums, strict=True):
            parameter.grad = (total / self._batches).to(parameter.dtype)

    def _totals(self) -> list[Tensor | None]:
        return self._sums if self._exact else [parameter.grad for parameter in self._parameters]


class Statistics:
    """Running statistics of a number of batches: each batch updates them from their values at the start, after which
    they become the mean over all batches of all processes (counts of batches: the sum).

    Args:
        model: its persistent buffers are meant, but those of truth values.
        processes: that share the batches.
        batches: of all processes together.
    """

    def __init__(self, model: nn.Module, processes: Processes, batches: int) -> None:
        persistent = model.state_dict().keys()
        buffers = [b for name, b in model.named_buffers() if name in persistent and b.dtype != torch.bool]
        self._buffers = buffers if batches > 1 else []
        self._processes, self._batches = processes, batches
        self._start: list[Tensor] = []
        self._changes: list[Tensor] = []

    def begin(self) -> None:
        """Before the first batch."""
        self._start = [buffer.clone() for buffer in self._buffers]
        self._changes = [torch.zeros_like(buffer, dtype=_sum_dtype(buffer)) for buffer in self._buffers]

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Around the forward pass of one batch."""
        self._set(self._start)
        yield
        for buffer, start, change in zip(self._buffers, self._start, self._changes, strict=True):
            change.add_((buffer - start).where(buffer != start, 0))  # a constant may be -inf

    def finish(self) -> None:
        """After the last batch."""
        self._processes.sum(self._changes)
        for change in self._changes:
            if change.is_floating_point():
                change.div_(self._batches)
        pairs = zip(self._start, self._changes, strict=True)
        self._set([start + change.to(start.dtype) for start, change in pairs])

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Around a repeated forward pass of a batch, which must not change the statistics again."""
        before = [buffer.clone() for buffer in self._buffers]
        yield
        self._set(before)

    def _set(self, values: list[Tensor]) -> None:
        for buffer, value in zip(self._buffers, values, strict=True):
            buffer.data.copy_(value)  # .data: a graph whose backward pass is still to come may refer to the buffer


def _sum_dtype(tensor: Tensor) -> torch.dtype:
    """The type in which :class:`Statistics` are summed, exact as in :class:`Gradients`."""
    return torch.float64 if tensor.is_floating_point() and tensor.device.type == "cpu" else tensor.dtype
