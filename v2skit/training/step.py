"""One optimiser step: accumulated batches, shared by the processes that train together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models.model import Model, Vocoder
from v2skit.models.output import Output
from v2skit.training.accumulation import Gradients, Statistics
from v2skit.training.distributed import RollCall
from v2skit.training.optimiser import Average, Optimiser, schedule

LOSS, GRADIENT = 0, 1


class Pending(NamedTuple):
    """A batch on which the discriminators were trained and the model is still to be: its output with a graph, the
    states of the random generators for its losses, and the values that the discriminators gave."""

    batch: Batch
    output: Output
    generators: list[Tensor]
    values: dict[str, Tensor]


class TrainingStep:
    """Takes optimiser steps of a model and of its losses' discriminators.

    A step has ``losses.discriminator_steps`` discriminator steps, each accumulated over ``accumulate`` batches, evenly
    shared by the processes: the number of processes does not change the result. The batches of the last one are those
    of the model's step. Without discriminators there is only the latter. In a step whose losses are not logged, the
    step itself reads nothing from the device; networks and losses may.

    Args:
        model: on its device.
        losses: on the same device.
        optimiser: of the model.
        average: moving average of the model's weights.
        batches: of this process, without end.
        precision: the autocast type, None for full precision.
        seed: of all random numbers (dropout), together with the numbers of step and batch.
        roll_call: of the processes.
        corruption: of the model's inputs; None: none.
        process_batch: changes each batch before its forward pass, after the random generators were seeded for it.

    Attributes:
        position: (epoch, batch) in the data's order where training resumes after the last step.
    """

    def __init__(
        self,
        model: Model | Vocoder,
        losses: Losses,
        optimiser: Optimiser,
        average: Average,
        batches: Iterator[Batch],
        precision: torch.dtype | None,
        seed: int,
        roll_call: RollCall,
        corruption: nn.Module | None = None,
        process_batch: Callable[[Batch], Batch] = lambda batch: batch,
    ) -> None:
        self.process_batch = process_batch
        self.model, self.losses, self.optimiser, self.average = model, losses, optimiser, average
        self.batches, self.precision, self.seed, self.roll_call = batches, precision, seed, roll_call
        self.corruption = corruption
        processes, self.accumulate = roll_call.processes, optimiser.settings.accumulate
        self.numbers = range(processes.rank, self.accumulate, processes.world)
        self.statistics = Statistics(model, processes, self.accumulate)
        self.gradients = Gradients(model.parameters(), processes, self.accumulate)
        of_discriminators = [p for term in losses.discriminator_terms.values() for p in term.parameters()]
        self.discriminator_gradients = Gradients(of_discriminators, processes, self.accumulate)
        self.position = (0, 0)
        device = next(model.parameters()).device
        self._last = torch.zeros(3, dtype=torch.float64, device=device)  # see _record; sticks if not finite

    def run(self, step: int, logged: bool) -> dict[str, float]:
        """One step.

        Args:
            step: steps taken before.
            logged: whether the losses are needed.

        Returns:
            if logged: the losses, means over all batches of the model's step, gradient norm, and learning rate before
            the factors of parts.

        Raises:
            UserError: the data are damaged, a process is missing, or, if logged, see :meth:`check_finite`.
        """
        self.model.train()
        self.optimiser.start(step)
        values = self._adversarial(step) if self.losses.discriminator_terms else self._accumulate(step)
        for value in values:
            self._record(value["total"], step, LOSS)
        payload: dict = {"gradients": self.gradients.present()}
        if logged:
            payload["last"] = self._last.tolist()
            payload["sums"] = {name: sum(float(value[name]) for value in values) for name in values[0]}
        reports = self.roll_call.gather(payload, f"in step {step + 1}")
        if logged:
            _check_finite([report["last"] for report in reports])
        self.gradients.average([report["gradients"] for report in reports])
        if not self.losses.discriminator_terms:
            self.statistics.finish()
        gradient_norm = self.optimiser.finish()
        self._record(gradient_norm, step, GRADIENT)  # of a finite loss it can be infinite, and the weights are NaN then
        self.average.update(self.model, step + 1)
        if not logged:
            return {}
        means = {name: sum(r["sums"][name] for r in reports) / self.accumulate for name in payload["sums"]}
        return {**means, "gradient_norm": float(gradient_norm), "learning_rate": self.optimiser.learning_rate(step)}

    def check_finite(self, when: str) -> None:
        """Raises UserError if a total loss of the steps so far, on any process, or its gradient was not finite."""
        _check_finite(self.roll_call.gather(self._last.tolist(), when))

    def _accumulate(self, step: int) -> list[dict[str, Tensor]]:
        """Gradients of the model without discriminators. Returns the losses of each batch of this process."""
        values = []
        self.statistics.begin()
        for batch in self._draw(step, 0):
            with self.statistics.batch():
                output = forward(self.model, batch, self.precision, self.corruption)
            values.append(self._backward(output, batch))
        return values

    def _adversarial(self, step: int) -> list[dict[str, Tensor]]:
        """Discriminator steps, then gradients of the model. Returns the losses of each batch of this process."""
        for number in range(self.losses.discriminator_steps):
            pending = self._discriminator_step(step, number)
        values = []
        for batch, output, generators, of_discriminators in pending:
            _set_generator_states(generators, batch.mask.device)
            with self.statistics.unchanged():  # by a forward pass that checkpoint() repeats
                values.append(self._backward(output, batch) | of_discriminators)
        return values

    def _discriminator_step(self, step: int, number: int) -> list[Pending]:
        """One step of the discriminators; ``number`` counts those within a step of the model."""
        pending = []
        last = number + 1 == self.losses.discriminator_steps
        self.statistics.begin()
        for batch in self._draw(step, number):
            with torch.set_grad_enabled(last), self.statistics.batch():
                if last and len(self.numbers) > 1:  # the graphs of several batches would fill the memory
                    inputs = (self.model, batch, self.precision, self.corruption, batch.mask)
                    output = checkpoint(_forward_on_device, *inputs, use_reentrant=False)
                else:
                    output = forward(self.model, batch, self.precision, self.corruption)
            values = self.losses.discriminator_backward(output, batch)
            self.discriminator_gradients.add()
            if last:
                pending.append(Pending(batch, output, _generator_states(batch.mask.device), values))
        present = self.roll_call.gather(self.discriminator_gradients.present(), f"in step {step + 1}")
        self.discriminator_gradients.average(present)
        self.losses.discriminator_update(schedule(step, self.optimiser.settings))
        self.statistics.finish()
        return pending

    def _draw(self, step: int, number: int) -> Iterator[Batch]:
        """The batches of this process for one accumulation, each with the random generators seeded for it.

        A seed is a function of (seed, step, number of the batch in it): resuming needs no state of the random
        generators, and any process draws what a single one would. The factors spread the lower 32 bits, the only ones
        that count.
        """
        for index in self.numbers:
            batch = next(self.batches)
            self.position = batch.position
            torch.manual_seed(self.seed * 1_000_003 + step + (number * self.accumulate + index) * 2_654_435_761)
            yield self.process_batch(batch)

    def _backward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Accumulate the model's gradients for a batch. Returns its losses."""
        total, values = self.losses(output, batch)
        total.backward()
        self.gradients.add()
        return {"total": total.detach(), **values}

    def _record(self, value: Tensor, step: int, of: int) -> None:
        """Keep a value () on the device, with its step and what it is, unless one that is not finite is kept
        already."""
        value = value.to(self._last)
        current = torch.stack([value, torch.full_like(value, step), torch.full_like(value, of)])
        self._last = torch.where(self._last[:1].isfinite(), current, self._last)


def forward(
    model: Model | Vocoder, batch: Batch, precision: torch.dtype | None, corruption: nn.Module | None = None
) -> Output:
    """What the losses are computed from, for a batch; ``precision`` is the autocast type, None for full precision."""
    inputs = None if corruption is None else corruption(batch).inputs(model.inputs)
    with torch.autocast(batch.mask.device.type, precision, enabled=precision is not None):
        return model.training_output(batch, synthesise=not model.training, inputs=inputs)


def _forward_on_device(
    model: Model | Vocoder, batch: Batch, precision: torch.dtype | None, corruption: nn.Module | None, mask: Tensor
) -> Output:
    """See :func:`forward`. checkpoint() repeats the random numbers of the devices of its tensors: here, of the mask."""
    return forward(model, batch, precision, corruption)


def _check_finite(records: list[list[float]]) -> None:
    """Raises UserError for the earliest of the (value, step, what it is) of each process that is not finite."""
    found = [record for record in records if not math.isfinite(record[0])]
    if found:
        value, step, of = min(found, key=itemgetter(1, 2))
        what = {LOSS: "loss", GRADIENT: "norm of the gradient"}[int(of)]
        raise UserError(f"the {what} is {value} at step {step:.0f}; lower learning_rate or clip_norm", step=int(step))


def _generator_states(device: torch.device) -> list[Tensor]:
    """States of the random generators that a model on this device uses."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


def _set_generator_states(states: list[Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    for state in states[1:]:
        torch.cuda.set_rng_state(state, device)
