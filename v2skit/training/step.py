"""An optimiser step: turns of batches, shared by the processes that train together."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models.model import Model, Output, Vocoder
from v2skit.training.distributed import Gradients, Processes, Statistics
from v2skit.training.optimiser import Optimiser


class Held(NamedTuple):
    """A batch of the last turn, until the critics have learnt from all of them. Of several the outputs are not kept,
    since their graphs would fill the memory; ``states`` are then those of the random generators."""

    batch: Batch
    seed: int
    output: Output | None
    states: list[Tensor]


class Stepper:
    """Takes steps. One is ``losses.learn_steps`` turns of ``accumulate`` batches, evenly shared by the processes: what
    becomes of the model does not depend on how many these are. The losses' own networks learn in every turn, the model
    in the last.

    Args:
        model: on its device.
        losses: on the same.
        optimiser: of the model.
        see: batch -> the model's output.
        seed: of what is drawn at random (dropout), with the numbers of step and batch.
        processes: that train together.
    """

    def __init__(
        self,
        model: Model | Vocoder,
        losses: Losses,
        optimiser: Optimiser,
        see: Callable[[Batch], Output],
        seed: int,
        processes: Processes,
    ) -> None:
        self.model, self.losses, self.optimiser, self.see = model, losses, optimiser, see
        self.seed, self.processes, self.batches = seed, processes, optimiser.settings.accumulate
        self.statistics = Statistics(model, processes, self.batches)
        learning = [p for term in losses.learners.values() for p in term.parameters()]
        self.gradients = Gradients(model.parameters(), processes, self.batches)
        self.learning = Gradients(learning, processes, self.batches)

    def take(
        self, step: int, next_batch: Callable[[], Batch], meet: Callable[[dict, str], list[dict]], tell: bool
    ) -> dict[str, float]:
        """One step.

        Args:
            step: steps done before.
            next_batch: gives this process' next batch, on the device.
            meet: :meth:`v2skit.training.distributed.Processes.gather`.
            tell: whether the losses are wanted.

        Returns:
            where they are wanted: the losses, means over all batches of the last turn, the gradient's norm, the rate.

        Raises:
            UserError: the loss is not finite, the data are damaged, or a process got lost.
        """
        when, turns = f"in step {step + 1}", self.losses.learn_steps
        self.model.train()
        self.optimiser.start(step)
        for turn in range(turns):
            found = self._turn(step, turn, turn + 1 == turns, next_batch, lambda: meet({}, when))
        told: dict[str, Any] = {"totals": torch.stack([values["total"] for values in found]).tolist()}
        if tell:
            told["sums"] = {name: sum(float(v[name]) for v in found) for name in found[0]}
        reports = meet(told, when)
        for total in (total for report in reports for total in report["totals"]):
            if not math.isfinite(total):
                raise UserError(f"the loss is {total} at step {step}; lower learning_rate or clip_norm")
        self.gradients.average()
        if not self.losses.learners:
            self.statistics.finish()
        rate = self.optimiser.adamw.param_groups[0]["lr"]
        norm = self.optimiser.finish()
        if not tell:
            return {}
        means = {name: sum(r["sums"][name] for r in reports) / self.batches for name in told["sums"]}
        return {**means, "gradient_norm": norm, "learning_rate": rate}

    def _turn(
        self, step: int, turn: int, last: bool, next_batch: Callable[[], Batch], meet: Callable[[], object]
    ) -> list[dict[str, Tensor]]:
        """The batches of a turn. Returns, of the last turn, the losses of each batch of this process."""
        numbers = range(self.processes.rank, self.batches, self.processes.world)
        learns, learnt, held, found = bool(self.losses.learners), [], [], []
        at_once = last and (len(numbers) == 1 or not learns)
        self.statistics.begin()
        for number in numbers:
            batch, seed = next_batch(), self._seed(step, turn * self.batches + number)
            torch.manual_seed(seed)
            with torch.set_grad_enabled(at_once), self.statistics.batch():
                output = self.see(batch)
            if learns:
                learnt.append(self.losses.learn(output, batch))
                self.learning.add()
                if last:
                    held.append(Held(batch, seed, output, []) if at_once else Held(batch, seed, None, _states(batch)))
            else:
                found.append(self._descend(output, batch))
        if learns:
            meet()
            self.learning.average()
            self.losses.update()
            self.statistics.finish()
        for one, told in zip(held, learnt):
            found.append({**self._descend(one.output or self._again(one), one.batch), **told})
        return found

    def _descend(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Add to the model's gradients. Returns the losses of a batch."""
        total, values = self.losses(output, batch)
        total.backward()
        self.gradients.add()
        return {"total": total.detach(), **values}

    def _again(self, held: Held) -> Output:
        """The output for a batch, with its graph; the same was drawn at random for it, and will be for its losses."""
        torch.manual_seed(held.seed)
        with self.statistics.unchanged():
            output = self.see(held.batch)
        torch.set_rng_state(held.states[0])
        if len(held.states) > 1:
            torch.cuda.set_rng_state(held.states[1], held.batch.mask.device)
        return output

    def _seed(self, step: int, number: int) -> int:
        """A function of (seed, step, number of the batch in it): resuming needs no state of the random generators, and
        any process draws what a single one would. The factors spread the lower 32 bits, which are all that count."""
        return self.seed * 1_000_003 + step + number * 2_654_435_761


def _states(batch: Batch) -> list[Tensor]:
    """Of the random generators that count for a batch."""
    device = batch.mask.device
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]
