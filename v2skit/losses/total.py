"""The weighted sum of the losses of a config."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from v2skit.config.schema import BUILT_IN_STREAMS, Config
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.layers.mel_standard import MelStandard
from v2skit.models.model import Model, Vocoder, stream_names
from v2skit.models.output import Output
from v2skit.registry.build import build
from v2skit.registry.contract import check_scalars
from v2skit.system.seeds import seed_part


class Losses(nn.Module):
    """The weighted loss terms of a config; the trainer knows only their sum and their values.

    ``discriminator_terms`` are those that train discriminators, ``discriminator_steps`` the number of steps that these
    take for each step of the model, each on batches of its own. A decoder's own losses are added with weight 1.

    Attributes:
        validation_only: terms of weight 0 whose streams the model does not give in training; set by :meth:`check`.

    Raises:
        UserError: the terms do not fit together, or none of them can be validated.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.terms: dict[str, Any] = {}
        for name, term in config.losses.items():
            seed_part(config.seed, f"losses.{name}")
            self.terms[name] = build("loss", term, clock=config.clock, mel=config.mel)
        self._modules_of_terms = nn.ModuleList(self.terms.values())  # as a ModuleDict it would not take every name
        self.validation_only: set[str] = set()
        self.weights = {name: term.weight for name, term in config.losses.items()}
        self.discriminator_terms: dict[str, Any] = {
            name: term for name, term in self.terms.items() if hasattr(term, "discriminator_backward")
        }
        for name, term in self.discriminator_terms.items():
            steps = getattr(term, "discriminator_steps", 1)
            if not isinstance(steps, int) or steps < 1:
                raise UserError(f"loss '{name}': discriminator_steps must be a number from 1, not {steps!r}", loss=name)
            if not hasattr(term, "discriminator_update"):
                raise UserError(
                    f"loss '{name}' has discriminator_backward(), which accumulates gradients, but no "
                    "discriminator_update(), which takes an optimiser step with them; add it",
                    loss=name,
                )
        numbers = {name: getattr(term, "discriminator_steps", 1) for name, term in self.discriminator_terms.items()}
        if len(set(numbers.values())) > 1:
            raise UserError(
                f"losses: discriminator_steps {numbers} differ, but all terms share the batches; give all the same "
                "discriminator_steps"
            )
        self.discriminator_steps = max(numbers.values(), default=1)
        if self.terms and not any(getattr(term, "validates", True) for term in self.terms.values()):
            raise UserError("losses: discriminators can't select the best checkpoint; add a loss such as log_mel")

    def check(self, model: Model | Vocoder, targets: Iterable[str]) -> None:
        """Note which terms can only be computed in validation.

        Args:
            model: to be trained.
            targets: names of the streams that the config's targets give.

        Raises:
            UserError: the model does not give a stream that a term needs, or the batches have no such stream, or there
                is no term at all and the decoder has no losses of its own.
        """
        if not self.terms and not (isinstance(model, Model) and model.has_own_losses):
            raise UserError("losses: at least one loss is needed, since the decoder has none of its own", key="losses")
        self._check_used(model)
        references = {*BUILT_IN_STREAMS, *targets}
        trained = model.training_streams if isinstance(model, Model) else model.streams
        # What a decoder with own losses gives in training is not what it synthesises: no term of weight 0 needs it.
        synthesised = {model.output} if isinstance(model, Model) and model.has_own_losses else set()
        for name, term in self.terms.items():
            leave_out = f"or leave it out with losses.{name}: null"
            needed = stream_names(getattr(term, "input", ()))
            compared = stream_names(getattr(term, "reference", needed))
            for stream in needed:
                if stream not in model.streams:
                    given = ", ".join(sorted(model.streams))
                    raise UserError(
                        f"loss '{name}' needs models with output {stream}, this one has output {given}; add a head "
                        f"that outputs it (networks.heads), {leave_out}",
                        loss=name,
                    )
                counts = bool(self.weights[name]) or name in self.discriminator_terms
                if counts and stream not in trained:
                    raise UserError(
                        f"loss '{name}' needs {stream} in training, but the decoder has a training loss of its own "
                        f"and outputs none then; set losses.{name}.weight: 0 to have it in validation only, "
                        f"{leave_out}",
                        loss=name,
                    )
                if stream not in trained or (stream in synthesised and not counts):
                    self.validation_only.add(name)
            for stream in compared:
                if stream not in references:
                    raise UserError(
                        f"loss '{name}' compares '{stream}' with a target, and the config has none of this name; add "
                        f"targets.{stream}, {leave_out}",
                        loss=name,
                    )

    def _check_used(self, model: Model | Vocoder) -> None:
        """Raises UserError for a stream that nothing trains: its part would stay as it was at the start."""
        used = {
            stream for n, t in self.terms.items() if self.weights[n] for stream in stream_names(getattr(t, "input", ()))
        }
        known = all(hasattr(term, "input") for term in self.terms.values())  # another term may use any stream
        unused = sorted(model.streams - {model.output} - used) if known else []
        if unused:
            raise UserError(
                f"no loss is computed from '{unused[0]}', so that nothing trains the part that predicts it; add a loss "
                "whose input it is, with a weight above 0, or leave out the head that outputs it",
                stream=unused[0],
            )

    def forward(self, output: Output, batch: Batch, validate: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
        """(output, batch) -> (weighted total, all values by name); ``validate``: only of terms that are validated.

        Raises:
            UserError: a term returns something else than scalars, or none of them has a gradient.
        """
        total, values = torch.zeros((), device=batch.mask.device), {}
        for key, value in output.losses.items():
            total = total + value
            values[_label("decoder", key)] = value.detach()
        for name, term in self.terms.items():
            if getattr(term, "validates", True) if validate else name not in self.validation_only:
                for key, value in term(output, batch).items():
                    total = total + self.weights[name] * value
                    values[_label(name, key)] = value.detach()
        if torch.is_grad_enabled() and not total.requires_grad and (_has_gradient(output) or output.losses):
            names = ", ".join([*output.losses, *self.terms])
            raise UserError(
                f"losses: none of {names} has a gradient, so that nothing can be trained; they must be computed from "
                "the model's output, without detach()"
            )
        return total, values

    def discriminator_backward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Accumulate the gradients of all discriminators for a batch. Returns their losses and scores by name.

        Raises:
            UserError: a term returns something else than scalars.
        """
        output = output.detached()
        found = {n: term.discriminator_backward(output, batch) for n, term in self.discriminator_terms.items()}
        for name, values in found.items():
            check_scalars(f"loss '{name}': discriminator_backward()", values)
        return {_label(name, key): value.detach() for name, values in found.items() for key, value in values.items()}

    def discriminator_update(self, learning_rate_factor: float = 1.0) -> None:
        """Take an optimiser step of all discriminators with their averaged gradients.

        Args:
            learning_rate_factor: of the model's schedule at this step.
        """
        for term in self.discriminator_terms.values():
            if hasattr(term, "learning_rate_factor"):
                term.learning_rate_factor = learning_rate_factor
            term.discriminator_update()

    def digests(self) -> dict[str, str]:
        """Digests of the pre-trained weights that terms load, by name of the term: its own, or those of its parts."""
        digests = {name: getattr(term, "digest", None) or _digests_in(term) for name, term in self.terms.items()}
        return {name: str(digest) for name, digest in digests.items() if digest}

    @property
    def _stateful(self) -> dict[str, Any]:
        """The terms whose state is not that of their config: with discriminators, or fitted to the training clips."""
        fitted = {n: t for n, t in self.terms.items() if any(isinstance(part, MelStandard) for part in t.modules())}
        return self.discriminator_terms | fitted

    def state(self) -> dict[str, Any]:
        """What resuming needs: discriminators, their optimisers and fitted statistics, by name of the term."""
        return {name: term.state_dict() for name, term in self._stateful.items()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state`. Raises UserError where it is that of other terms, or of version 0.1."""
        for name, term in self._stateful.items():
            try:
                term.load_state_dict(state[name])
            except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
                raise UserError(
                    f"loss '{name}': the checkpoint's discriminators or statistics do not fit those of this config, or "
                    "were saved by v2skit 0.1; finish the run with the version that started it, or train again with "
                    "--force",
                    loss=name,
                ) from error


def _digests_in(term: nn.Module) -> str:
    found = (getattr(part, "digest", None) for part in term.modules())
    return " ".join(dict.fromkeys(str(digest) for digest in found if digest))


def _has_gradient(output: Output) -> bool:
    return any(value.requires_grad for value in output.streams.values())


def _label(name: str, key: str) -> str:
    return name if key == name else f"{name}/{key}"
