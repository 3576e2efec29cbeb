"""A function of a sequence in overlapping windows: a long sequence in bounded memory, or one that is still arriving."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

import torch
from torch import Tensor


class WindowedFunction:
    """Applies a function whose output at a step depends on the neighbouring steps.

    Args:
        function: (L, ...) -> (L * rate, ...).
        rate: output steps per input step.
        left_context: earlier input steps that an output step depends on, or that approximate all of them.
        right_context: likewise, later input steps.
        min_steps: the function is called for at least this many new input steps, except at the end.
        crossfade: input steps, at most ``right_context``, over which the output of a window is crossfaded into that of
            the next one; 0 where the contexts cover the receptive field, so that windows agree.
        align: windows start at multiples of this many input steps.
        max_steps: input is processed in portions of at most this many steps; None: as it comes.
    """

    def __init__(
        self,
        function: Callable[[Tensor], Tensor],
        rate: int,
        left_context: int,
        right_context: int,
        min_steps: int = 1,
        crossfade: int = 0,
        align: int = 1,
        max_steps: int | None = None,
    ) -> None:
        self.function, self.rate = function, rate
        self.left_context, self.right_context = left_context, right_context
        self.min_steps, self.max_steps = min_steps, max_steps
        self.crossfade, self.align = min(crossfade, right_context), align
        self._input: Tensor | None = None  # from step _start on
        self._start, self._done = 0, 0
        self._tail: Tensor | None = None  # output of the last window after step _done

    def push(self, x: Tensor) -> Tensor | None:
        """The next input steps (n, ...) -> the output steps that are now final (m * rate, ...), None where none is."""
        outputs = []
        for part in x.split(self.max_steps or max(1, len(x))):
            self._input = part if self._input is None else torch.cat([self._input, part])
            outputs.append(self._run(self._start + len(self._input) - self.right_context, self.min_steps))
        return concatenated(outputs)

    def finish(self) -> Tensor | None:
        """The end of the sequence -> the remaining output steps."""
        return None if self._input is None else self._run(self._start + len(self._input), 1)

    def _run(self, end: int, min_steps: int) -> Tensor | None:
        """The output of the steps up to ``end``, None where there are fewer new ones than ``min_steps``."""
        if end - self._done < min_steps:
            return None
        assert self._input is not None, "there are new steps"
        y = self.function(self._input)
        first, last = ((step - self._start) * self.rate for step in (self._done, end))
        output = y[first:last]
        if self._tail is not None and len(self._tail):
            count = min(len(self._tail), len(output))
            ramp = torch.arange(1, count + 1, device=y.device) / (count + 1)
            ramp = ramp.view(-1, *[1] * (y.ndim - 1))
            if output.is_floating_point():
                faded = self._tail[:count] * (1 - ramp) + output[:count] * ramp
            else:  # there is nothing between two units
                faded = torch.where(ramp < 0.5, self._tail[:count], output[:count])
            output = torch.cat([faded, output[count:]])
        self._tail = y[last : last + self.crossfade * self.rate]
        self._done = end
        start = max(0, end - self.left_context) // self.align * self.align
        self._input, self._start = self._input[start - self._start :], start
        return output


def concatenated(parts: Sequence[Tensor | None]) -> Tensor | None:
    """The parts that are not None, in one tensor; None where all are."""
    given = [part for part in parts if part is not None]
    return torch.cat(given) if given else None


class Cascade:
    """Windowed functions in series: the output of each is the input of the next."""

    def __init__(self, stages: Sequence[WindowedFunction]) -> None:
        self.stages = stages

    def push(self, x: Tensor) -> Tensor | None:
        """As :meth:`WindowedFunction.push`."""
        output: Tensor | None = x
        for stage in self.stages:
            if output is None:
                return None
            output = stage.push(output)
        return output

    def finish(self) -> Tensor | None:
        """As :meth:`WindowedFunction.finish`."""
        output = None
        for stage in self.stages:
            output = concatenated([None if output is None else stage.push(output), stage.finish()])
        return output

    @property
    def right_context(self) -> int:
        """Input steps of the first stage that must follow a step before its output is final."""
        total, rate = Fraction(0), 1
        for stage in self.stages:
            total += Fraction(stage.right_context, rate)
            rate *= stage.rate
        return math.ceil(total)
