"""Adversarial loss: discriminators on waveforms, and the loss that they give the generator."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.limits import Depth
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.output import Output
from v2skit.registry.component import Component

# objective -> (loss of a discriminator, given scores of real and generated waveforms; loss of the generator)
OBJECTIVES: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "hinge": (lambda real, fake: F.relu(1 - real).mean() + F.relu(1 + fake).mean(), lambda fake: -fake.mean()),
    "least_squares": (
        lambda real, fake: (1 - real).square().mean() + fake.square().mean(),
        lambda fake: (1 - fake).square().mean(),
    ),
    "wasserstein": (lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean()),
}
REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {"mean": torch.mean, "sum": torch.sum}


class Adversarial(nn.Module):
    """Owns its discriminators and their optimiser (AdamW without weight decay).

    With ``objective: wasserstein``, ``gradient_penalty: 10``, ``discriminator_steps: 6`` and ``reduction: sum`` it is
    the WGAN-GP of the raw-waveform family (Gulrajani et al. 2017; V2S-WGAN, Mira et al. 2022); with ``least_squares``
    or ``hinge`` and ``feature_matching`` that of HiFi-GAN (Kong et al. 2020) and Vocos (Siuzdak 2024). Those papers sum
    over all sub-discriminators and over their layers. With means, their weights 1 and 2 for P sub-discriminators of L
    layers each are P and, within this loss, 2 L.

    Args:
        discriminators: by name.
        objective: ``hinge``, ``least_squares`` or ``wasserstein``.
        feature_matching: weight, within this loss, of the L1 distance between the discriminators' hidden layers for
            real and generated waveforms.
        gradient_penalty: weight of (||gradient|| - 1)^2 between real and generated waveforms.
        discriminator_steps: of the discriminators for each step of the generator, each on batches of its own.
        start_after: discriminator steps that are skipped at the start of training, where only other losses train the
            generator.
        window_frames: video frames of the random window of each clip that the discriminators see; null: all.
        learning_rate: of the discriminators, at its peak; it has the model's schedule.
        betas: of the discriminators' optimiser.
        reduction: over sub-discriminators, and over their layers in feature matching: ``mean`` or ``sum``.

    Raises:
        UserError: no discriminators, or a setting out of range.
    """

    input = "waveform"
    validates = False

    def __init__(
        self,
        discriminators: dict[str, Annotated[Component, "discriminator"]],
        objective: str = "least_squares",
        feature_matching: float = 0.0,
        gradient_penalty: float = 0.0,
        discriminator_steps: Depth = 1,
        start_after: int = 0,
        window_frames: int | None = None,
        learning_rate: float = 2e-4,
        betas: tuple[float, ...] = (0.8, 0.99),
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        if objective not in OBJECTIVES:
            raise UserError(f"objective '{objective}' is none of {', '.join(OBJECTIVES)}")
        if reduction not in REDUCTIONS:
            raise UserError(f"reduction '{reduction}' is none of {', '.join(REDUCTIONS)}")
        if not discriminators or discriminator_steps < 1 or (window_frames is not None and window_frames < 1):
            raise UserError("give at least one discriminator, and positive discriminator_steps and window_frames")
        if min(feature_matching, gradient_penalty, start_after, learning_rate) < 0:
            raise UserError("feature_matching, gradient_penalty, start_after and learning_rate must not be negative")
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise UserError(f"betas must be two numbers from 0 to below 1, not {list(betas)}")
        for name, discriminator in discriminators.items():
            if not name or "." in name or hasattr(nn.ModuleDict(), name):
                raise UserError(f"a discriminator can't be called '{name}'; give it another name")
            if feature_matching and getattr(discriminator, "phase_shuffle", 0):
                raise UserError(
                    f"discriminator '{name}': feature_matching compares its layers; set its phase_shuffle to 0"
                )
        built: dict[str, Any] = dict(discriminators)
        self.discriminators = nn.ModuleDict(built)
        self.of_discriminator, self.of_generator = OBJECTIVES[objective]
        self.feature_matching, self.gradient_penalty = feature_matching, gradient_penalty
        self.discriminator_steps, self.start_after, self.window_frames = discriminator_steps, start_after, window_frames
        self.reduce = REDUCTIONS[reduction]
        self.learning_rate, self.learning_rate_factor = learning_rate, 1.0
        first, second = betas
        self.optimiser = torch.optim.AdamW(self.parameters(), learning_rate, (first, second), weight_decay=0.0)
        self.steps = 0

    def discriminator_backward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Accumulate the discriminators' gradients. Returns loss, gradient penalty and mean scores by name."""
        if self.steps < self.start_after:
            return {}
        assert output.waveform is not None, "input = 'waveform'"
        self.requires_grad_(True)
        real, fake = self._windows(batch, batch.waveform, output.waveform.detach().float())
        terms, penalties = [], []
        for discriminator in self.discriminators.values():
            both = [score for score, _ in discriminator(torch.cat([real, fake]))]
            terms += [score.float().chunk(2) for score in both]
            if self.gradient_penalty:
                penalties.append(penalty(discriminator, real, fake))
        loss = self.reduce(torch.stack([self.of_discriminator(*pair) for pair in terms]))
        values = {"discriminator": loss, "real": mean([r for r, _ in terms]), "fake": mean([f for _, f in terms])}
        if penalties:
            values["penalty"] = self.reduce(torch.stack(penalties))
            loss = loss + self.gradient_penalty * values["penalty"]
        loss.backward()
        return values

    def discriminator_update(self) -> None:
        """One optimiser step of the discriminators with their averaged gradients."""
        self.steps += 1
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate_factor * self.learning_rate
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """``{"adversarial": scalar}``, and ``"feature_matching"`` where it has a weight; empty before the start."""
        if self.steps <= self.start_after:
            return {}
        assert output.waveform is not None, "input = 'waveform'"
        self.requires_grad_(False)  # gradients pass through the discriminators, but do not accumulate in them
        real, fake = self._windows(batch, batch.waveform, output.waveform.float())
        terms, distances = [], []
        for discriminator in self.discriminators.values():
            outputs = discriminator(fake)
            terms += [self.of_generator(score.float()) for score, _ in outputs]
            if self.feature_matching:
                with torch.no_grad():
                    targets = discriminator(real)
                pairs = [
                    pair for (_, a), (_, b) in zip(outputs, targets, strict=True) for pair in zip(a, b, strict=True)
                ]
                distances += [(a.float() - b.float()).abs().mean() for a, b in pairs]
        values = {"adversarial": self.reduce(torch.stack(terms))}
        if distances:
            values["feature_matching"] = self.feature_matching * self.reduce(torch.stack(distances))
        return values

    def _windows(self, batch: Batch, *waveforms: Tensor) -> list[Tensor]:
        """The same random window, at a frame border, of each clip in each waveform: (B,N) -> (B, W)."""
        frames, per_frame = batch.mask.shape[1], batch.waveform.shape[1] // batch.mask.shape[1]
        width = min(self.window_frames or frames, frames)
        room = (batch.mask.sum(1).cpu() - width).clamp(min=0) + 1
        starts = (torch.rand(len(room)) * room).long() * per_frame
        spans = [slice(int(start), int(start) + width * per_frame) for start in starts]
        return [torch.stack([row[span] for row, span in zip(w, spans, strict=True)]) for w in waveforms]

    def get_extra_state(self) -> dict[str, Any]:
        """The state of the discriminators' optimiser, and the number of discriminator steps taken."""
        return {"optimiser": self.optimiser.state_dict(), "steps": self.steps}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`get_extra_state`."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.steps = operator.index(state["steps"])


def penalty(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Mean over clips of (||gradient of the score|| - 1)^2 at random interpolates (Gulrajani et al. 2017, eq. 3).

    Interpolated is what the discriminator sees, and the gradient is by this: its representation of the waveforms, if it
    has one, else the waveforms.

    Args:
        discriminator: waveform (B,N) -> [(score, features)]; a clip's score is the sum over the sub-discriminators of
            their mean scores.
        real: (B,N).
        fake: (B,N).
    """
    network: Any = discriminator
    discriminate: Any = getattr(network, "discriminate", network)
    if hasattr(network, "represent"):
        with torch.no_grad():
            real, fake = network.represent(real), network.represent(fake)
    share = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
    between = (share * real + (1 - share) * fake).requires_grad_()
    score = torch.stack(
        [score.flatten(1).mean(1) if score.ndim > 1 else score for score, _ in discriminate(between)]
    ).sum(0)
    (gradient,) = torch.autograd.grad(score.sum(), between, create_graph=True)
    # The derivative of the square root is infinite at zero: a constant score must not give NaN.
    norm = (gradient.flatten(1).square().sum(1) + 1e-12).sqrt()
    return (norm - 1).square().mean()


def mean(scores: list[Tensor]) -> Tensor:
    """The mean over the scores of each sub-discriminator, then over sub-discriminators."""
    return torch.stack([score.detach().mean() for score in scores]).mean()
