"""Mel decoder by conditional flow matching: a mel is sampled around a regressed one, so that it is not blurred."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.config.limits import AutoWidth, Context, Depth, Width, check_range
from v2skit.data.batch import Batch
from v2skit.models.layers.convnext import KERNEL, ConvNeXtBlock, distribute
from v2skit.models.layers.link import Link
from v2skit.models.layers.masked import check_features, zero_padding
from v2skit.models.layers.noise import repeated_noise

TIME_DIM = 64
"""Dimension of the embedding of the flow's time."""
MAX_FREQUENCY = 1000.0
"""Highest angular frequency of the embedding."""
PERIOD_FRAMES = 50
"""Period of the noise in video frames: a window that starts at a multiple of it has the noise of the whole clip."""


class FlowMel(nn.Module):
    """Flow from noise to the residual of a regressed mel, on a straight path: (B,T,in_dim) -> (B,F,M).

    The prior, a linear layer as in ``mel_linear``, is trained with L1. The residual z of the target, divided by
    ``residual_std``, is modelled by conditional flow matching (Lipman et al. 2023, equation 23 with a final deviation
    of 0; rectified flow): z(t) = (1 - t) noise + t z, and a ConvNeXt stack at the mel frame rate predicts the velocity
    z - noise from z(t), t, prior and features. Input and output of the stack are scaled to unit variance (Karras et
    al. 2022, table 1, with the variances of this path): for s = (1 - t)^2 + t^2,

        velocity = (2 t - 1) / s * z(t) + stack(z(t) / sqrt(s), ...) / sqrt(s),

    so that a stack with output 0, as at the start of training, samples Gaussian noise around the prior.

    ``steps``, ``seed`` and ``temperature`` may be assigned to a trained decoder.

    Args:
        in_dim: features a video frame; given by the toolkit.
        clock: given by the toolkit.
        mel: given by the toolkit.
        dim: features a mel frame.
        blocks: number of ConvNeXt blocks.
        ff_dim: hidden features of a block; 0: three times ``dim``.
        steps: Euler steps from noise to mel, each an evaluation of the stack; with 1 the mel is nearly the prior.
        seed: of the noise, the same for all clips.
        temperature: factor of the noise. 1: samples of the distribution that the flow has learned; 0: the flow of the
            noise's mean, which was the most natural and intelligible on the mini corpus.
        look_ahead_frames: largest look-ahead, video frames, distributed over steps and blocks; null: all convolutions
            are symmetric.
        flow_weight: weight of the loss ``flow``.
        prior_weight: weight of the loss ``prior``.
        mean: of the log mel, approximately.
        std: of the log mel, approximately.
        residual_std: of the prior's residual, in units of ``std``, approximately.

    Raises:
        UserError: a number is out of range.
    """

    output = "mel"
    training_outputs = ("mel",)
    inference_arguments = ("steps", "seed", "temperature")
    training_arguments = ("flow_weight", "prior_weight")
    period_frames = PERIOD_FRAMES

    def __init__(
        self,
        in_dim: int,
        clock: Clock,
        mel: Mel,
        dim: Width = 192,
        blocks: Depth = 6,
        ff_dim: AutoWidth = 0,
        steps: Depth = 8,
        seed: Context = 0,
        temperature: float = 0.0,
        look_ahead_frames: Context | None = None,
        flow_weight: float = 1.0,
        prior_weight: float = 1.0,
        mean: float = -5.0,
        std: float = 2.5,
        residual_std: float = 0.28,
    ) -> None:
        super().__init__()
        self.in_dim, self.n_mels, self.frames = in_dim, mel.n_mels, mel.per_frame(clock)
        self.steps, self.seed, self.temperature = steps, seed, temperature
        self.flow_weight, self.prior_weight = flow_weight, prior_weight
        self.dim, self.mean, self.std, self.residual_std = dim, mean, std, residual_std
        positive = (1e-6, 1e6)
        check_range(self, std=positive, residual_std=positive, flow_weight=positive, prior_weight=positive)
        check_range(self, temperature=(0, 100))
        self.prior = nn.Linear(in_dim, self.frames * mel.n_mels)
        self.condition = nn.Linear(in_dim, self.frames * dim)
        self.embed = nn.Linear(2 * mel.n_mels, dim)
        self.time = nn.Sequential(nn.Linear(TIME_DIM, TIME_DIM), nn.SiLU(), nn.Linear(TIME_DIM, 2 * dim * blocks))
        a_step = None if look_ahead_frames is None else look_ahead_frames * self.frames // steps
        look_aheads = distribute(a_step, blocks)
        self.look_aheads = look_aheads  # mel frames, of each block
        self.look_ahead = sum(look_aheads)  # of one evaluation
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, ff_dim or 3 * dim, 1 / blocks, ahead) for ahead in look_aheads)
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, mel.n_mels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    @property
    def left_context_frames(self) -> int:
        """Left context in video frames; each step adds that of the stack."""
        return math.ceil(self.steps * (len(self.blocks) * (KERNEL - 1) - self.look_ahead) / self.frames)

    @property
    def look_ahead_frames(self) -> int:
        """Look-ahead in video frames; each step adds that of the stack."""
        return math.ceil(self.steps * self.look_ahead / self.frames)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """A sample of the log mel, always the same for the same features.

        Args:
            x: (B, T, in_dim).
            mask: (B, T), True for valid video frames.

        Returns:
            (B, T * mels_per_frame, n_mels), float32 also under autocast, zero for the video frames where the mask is
            False.

        Raises:
            UserError: ``x`` has another shape.
        """
        check_features(x, mask, self.in_dim, "flow_mel")
        prior, condition, z = self._start(x)
        mask = mask.repeat_interleave(self.frames, dim=1)  # (B, T) -> (B, F)
        for step in range(self.steps):
            t = torch.full((len(x), 1, 1), step / self.steps, device=x.device)
            z = z + self._velocity(z, t, prior, condition, mask) / self.steps
        return self._mel(prior + self.residual_std * z, mask)

    def links(self) -> list[Link]:
        """The evaluations of the blocks one after the other, as functions of (B,F,...) and their mask (B,F).

        For live synthesis: block by block costs far less than all steps on their whole receptive field. Between them
        are prior, condition, z(t) and the block's output, (B,F, 2 M + 2 dim).
        """
        sizes = (self.n_mels, self.dim, self.n_mels, self.dim)

        def start(x: Tensor, mask: Tensor) -> Tensor:
            prior, condition, z = self._start(x)
            return torch.cat([prior, condition, z, condition], dim=-1)

        with torch.no_grad():
            times = torch.arange(self.steps, device=self.out.weight.device)[:, None, None, None] / self.steps
            modulations = [self._modulations(t) for t in times]  # once, not for each chunk

        def through(number: int, step: int, x: Tensor, mask: Tensor) -> Tensor:
            prior, condition, z, h = x.split(sizes, dim=-1)
            t = times[step]
            h = h if number else self._embedded(z, t, prior, condition)
            h = self.blocks[number](h, mask, modulations[step][number])
            if number == len(self.blocks) - 1:
                z = z + self._velocity_of(h, z, t) / self.steps
            return torch.cat([prior, condition, z, h], dim=-1)

        def end(x: Tensor, mask: Tensor) -> Tensor:
            prior, _, z, _ = x.split(sizes, dim=-1)
            return self._mel(prior + self.residual_std * z, mask)

        steps = [
            Link(partial(through, number, step), left_context=KERNEL - 1 - ahead, right_context=ahead)
            for step in range(self.steps)
            for number, ahead in enumerate(self.look_aheads)
        ]
        return [Link(start, rate=self.frames, align=PERIOD_FRAMES), *steps, Link(end)]

    def _start(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features (B,T,in_dim) -> prior (B,F,M), condition (B,F,dim), z(0) (B,F,M)."""
        prior, condition = self._at_mel_rate(self.prior(x)).float(), self._at_mel_rate(self.condition(x))
        noise = repeated_noise(self.seed, PERIOD_FRAMES * self.frames, prior.shape[1], self.n_mels, x.device)
        return prior, condition, (self.temperature * noise).expand_as(prior)

    def training_loss(self, x: Tensor, mask: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Losses over the valid frames, and the prior.

        Args:
            x: (B, T, in_dim).
            mask: (B, T), True for valid video frames.
            batch: has the target ``mel`` (B,F,M).

        Returns:
            ``flow``: mean squared error of the stack's output, one random time for each clip; ``prior``: L1 of the
            prior, in units of the log mel; ``mel`` (B,F,M): the prior, for further losses, zero for the video frames
            where the mask is False. (A mel from z(t) would contain the target.)

        Raises:
            UserError: ``x`` has another shape.
        """
        check_features(x, mask, self.in_dim, "flow_mel")
        prior, condition = self._at_mel_rate(self.prior(x)).float(), self._at_mel_rate(self.condition(x))
        target, mask = (batch.stream("mel") - self.mean) / self.std, batch.mel_mask()
        l1 = self.std * (prior - target)[mask].abs().mean()
        mel = self._mel(prior, mask)
        prior = prior.detach()  # the loss of the flow is not its own
        z = (target - prior) / self.residual_std
        first = torch.rand(1, device=x.device)
        # Evenly spaced times, so that the loss of a batch hardly depends on the times drawn.
        t = (first + torch.randperm(len(x), device=x.device) / len(x)) % 1
        t = t[:, None, None]  # (B,) -> (B, 1, 1)
        noise = torch.randn_like(z)
        velocity = self._velocity((1 - t) * noise + t * z, t, prior, condition, mask)
        flow = (_variance(t) * (velocity - (z - noise)).square())[mask].mean()
        return {"flow": self.flow_weight * flow, "prior": self.prior_weight * l1, "mel": mel}

    def _velocity(self, z: Tensor, t: Tensor, prior: Tensor, condition: Tensor, mask: Tensor) -> Tensor:
        """z(t) (B,F,M), time (B,1,1), prior (B,F,M), condition (B,F,dim), mask (B,F) -> velocity (B,F,M), float32."""
        h = self._embedded(z, t, prior, condition)
        for block, modulation in zip(self.blocks, self._modulations(t)):
            h = block(h, mask, modulation)
        return self._velocity_of(h, z, t)

    def _embedded(self, z: Tensor, t: Tensor, prior: Tensor, condition: Tensor) -> Tensor:
        """Input of the stack's blocks (B,F,dim)."""
        return self.embed(torch.cat([z / _variance(t).sqrt(), prior], dim=-1)) + condition

    def _modulations(self, t: Tensor) -> tuple[Tensor, ...]:
        """Of each block, at a time (B,1,1)."""
        frequencies = torch.exp(torch.linspace(0, math.log(MAX_FREQUENCY), TIME_DIM // 2, device=t.device))
        embedding = self.time(torch.cat([(t * frequencies).sin(), (t * frequencies).cos()], dim=-1))
        return embedding.chunk(len(self.blocks), dim=-1)

    def _velocity_of(self, h: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """Output of the stack's blocks (B,F,dim), z(t) (B,F,M), time (B,1,1) -> velocity (B,F,M), float32."""
        variance = _variance(t)
        return (2 * t - 1) / variance * z + self.out(self.norm(h)).float() / variance.sqrt()

    def _mel(self, x: Tensor, mask: Tensor) -> Tensor:
        """In units of ``std`` from ``mean`` (B,F,M), mask (B,F) -> log mel (B,F,M), zero where the mask is False."""
        return zero_padding(x * self.std + self.mean, mask)

    def _at_mel_rate(self, x: Tensor) -> Tensor:
        """(B, T, mels_per_frame * D) -> (B, F, D)."""
        return x.unflatten(-1, (self.frames, -1)).flatten(1, 2)


def _variance(t: Tensor) -> Tensor:
    """Of z(t), for a residual of unit variance."""
    return (1 - t).square() + t.square()
