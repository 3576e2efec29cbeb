"""A function of a sequence, applied to a long one window by window: in bounded memory, or as the sequence comes in."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Windows:
    """Applies a function whose output at a step depends on the steps around it.

    Args:
        function: (L, ...) -> (L * rate, ...).
        rate: output steps for an input step.
        back: earlier input steps that an output depends on, or that are taken to be enough.
        ahead: likewise, later ones.
        piece: run for no fewer new input steps than these, but at the end.
        fade: input steps, up to ``ahead``, over which a window's output goes over into the next one's; 0 where
            ``back`` and ``ahead`` are all that counts, and windows thus agree.
        align: windows start at multiples of this many input steps.
        most: take no more input steps than these at once; None: all that come.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        rate: int,
        back: int,
        ahead: int,
        piece: int = 1,
        fade: int = 0,
        align: int = 1,
        most: int | None = None,
    ) -> None:
        self.function, self.rate, self.back, self.ahead = function, rate, back, ahead
        self.piece, self.most, self.fade, self.align = piece, most, min(fade, ahead), align
        self._held: Tensor | None = None  # input from step _start on
        self._start, self._done = 0, 0
        self._tail: Tensor | None = None  # the last window's output after step _done

    def push(self, x: Tensor) -> Tensor | None:
        """The next steps (n, ...) -> the output that is now known (m * rate, ...), None where nothing new is."""
        known = []
        for part in x.split(self.most or max(1, len(x))):
            self._held = part if self._held is None else torch.cat([self._held, part])
            known.append(self._run(self._start + len(self._held) - self.ahead, self.piece))
        return joined(known)

    def finish(self) -> Tensor | None:
        """The sequence is over -> the rest of the output."""
        return None if self._held is None else self._run(self._start + len(self._held), 1)

    def _run(self, end: int, least: int) -> Tensor | None:
        if end - self._done < least:
            return None
        assert self._held is not None, "only what has come in is run"
        y = self.function(self._held)
        first, last = ((step - self._start) * self.rate for step in (self._done, end))
        known = y[first:last]
        if self._tail is not None and len(self._tail):
            count = min(len(self._tail), len(known))
            ramp = torch.arange(1, count + 1, device=y.device) / (count + 1)
            ramp = ramp.view(-1, *[1] * (y.ndim - 1))
            known = torch.cat([self._tail[:count] * (1 - ramp) + known[:count] * ramp, known[count:]])
        self._tail = y[last : last + self.fade * self.rate]
        self._done = end
        start = max(0, end - self.back) // self.align * self.align
        self._held, self._start = self._held[start - self._start :], start
        return known


def joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    """Those parts that are there, one after the other; None where none is."""
    there = [part for part in parts if part is not None]
    return torch.cat(there) if there else None


class Chain:
    """Windows one after the other: the output of each is the input of the next."""

    def __init__(self, links: Sequence[Windows]) -> None:
        self.links = links

    def push(self, x: Tensor) -> Tensor | None:
        """As :meth:`Windows.push`."""
        known: Tensor | None = x
        for link in self.links:
            if known is None:
                return None
            known = link.push(known)
        return known

    def finish(self) -> Tensor | None:
        """As :meth:`Windows.finish`."""
        x = None
        for link in self.links:
            x = joined([None if x is None else link.push(x), link.finish()])
        return x

    def ahead(self) -> int:
        """Steps of the first link that must have come in, beyond its own, before the output for a step is known."""
        total, rate = 0, 1
        for link in self.links:
            total += math.ceil(link.ahead / rate)
            rate *= link.rate
        return total
