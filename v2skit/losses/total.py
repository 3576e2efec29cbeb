"""The weighted sum of the losses of a config."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from v2skit.config.schema import Config
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.model import Output
from v2skit.registry.build import build


class Losses(nn.Module):
    """The weighted terms of a config; the trainer knows only their sum and their values.

    ``learn_steps``: steps of the terms' own networks for each one of the model, each on batches of its own.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        torch.manual_seed(config.seed)
        self.terms = nn.ModuleDict(
            {n: build("loss", term, clock=config.clock, mel=config.mel) for n, term in config.losses.items()}
        )
        self.weights = {name: term.weight for name, term in config.losses.items()}
        self.learners: dict[str, Any] = {name: term for name, term in self.terms.items() if hasattr(term, "learn")}
        for name, term in self.learners.items():
            if not hasattr(term, "update"):
                raise UserError(f"loss '{name}': learn() collects gradients, update() takes a step; it has no update()")
        steps = {name: getattr(term, "learn_steps", 1) for name, term in self.learners.items()}
        if len(set(steps.values())) > 1:
            raise UserError(
                f"losses: learn_steps {steps} differ, but all share the batches; give all the same learn_steps"
            )
        self.learn_steps = max(steps.values(), default=1)
        if not any(getattr(term, "validates", True) for term in self.terms.values()):
            raise UserError("losses: critics can't tell the best checkpoint; add a loss such as log_mel")

    def forward(self, output: Output, batch: Batch, validate: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
        """(output, batch) -> (weighted total, every value a term gave, by name); ``validate``: of terms that do."""
        total, values = torch.zeros((), device=batch.mask.device), {}
        for name, term in self.terms.items():
            if not validate or getattr(term, "validates", True):
                for key, value in term(output, batch).items():
                    total = total + self.weights[name] * value
                    values[_label(name, key)] = value.detach()
        return total, values

    def learn(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Collect the gradients of the terms' own networks for a batch. Returns what they tell of it."""
        output = output.detached()
        found = {n: term.learn(output, batch) for n, term in self.learners.items()}
        return {_label(name, key): value.detach() for name, values in found.items() for key, value in values.items()}

    def update(self) -> None:
        """Let the terms' own networks take a step, once they have the gradients of all batches of a step, as means."""
        for term in self.learners.values():
            term.update()

    def digests(self) -> dict[str, str]:
        """Of weights that terms bring with them, by name of the term."""
        digests = {name: getattr(term, "digest", None) for name, term in self.terms.items()}
        return {name: str(digest) for name, digest in digests.items() if digest}

    def state(self) -> dict[str, Any]:
        """What resuming needs of the terms that learn."""
        return {name: term.state_dict() for name, term in self.learners.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state`."""
        for name, term in self.learners.items():
            term.load_state_dict(state[name])


def _label(name: str, key: str) -> str:
    return name if key == name else f"{name}/{key}"
