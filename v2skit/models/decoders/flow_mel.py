"""Mel decoder by conditional flow matching: sharp mels, sampled around a regressed one."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.config.limits import AutoWidth, Depth, Width
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.layers.convnext import KERNEL, SIDE, ConvNeXtBlock
from v2skit.models.layers.masked import check_features, zero_padding
from v2skit.models.layers.noise import clip_noise

TIME_DIM = 64
NOISE_PERIOD_FRAMES = 50
"""Period of the noise in video frames: a window that starts at a multiple of it has the noise of the whole clip."""


class FlowMel(nn.Module):
    def __init__(
        self,
        in_dim: int,
        clock: Clock,
        mel: Mel,
        dim: Width = 192,
        blocks: Depth = 6,
        ff_dim: AutoWidth = 0,
        steps: Depth = 8,
        seed: int = 0,
        temperature: float = 1.0,
        causal: bool = False,
        flow_weight: float = 1.0,
        prior_weight: float = 1.0,
        draws: Depth = 1,
        mean: float = -5.0,
        std: float = 2.5,
        residual_std: float = 0.28,
    ) -> None:
        super().__init__()
        self.output = "mel"
        self.in_dim, self.n_mels, self.frames = in_dim, mel.n_mels, mel.per_frame(clock)
        self.mean, self.std, self.residual_std = mean, std, residual_std
        self.steps, self.seed, self.temperature, self.draws = steps, seed, temperature, draws
        self.flow_weight, self.prior_weight = flow_weight, prior_weight
        self.prior = nn.Linear(in_dim, self.frames * mel.n_mels)
        self.condition = nn.Linear(in_dim, self.frames * dim)
        self.embed = nn.Linear(2 * mel.n_mels, dim)
        self.time = nn.Sequential(nn.Linear(TIME_DIM, TIME_DIM), nn.SiLU(), nn.Linear(TIME_DIM, 2 * dim * blocks))
        look_ahead = 0 if causal else SIDE
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, ff_dim or 3 * dim, 1 / blocks, look_ahead) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, mel.n_mels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.period_frames = NOISE_PERIOD_FRAMES
        self.left_context_frames = math.ceil(steps * blocks * (KERNEL - 1 - look_ahead) / self.frames)
        self.look_ahead_frames = math.ceil(steps * blocks * look_ahead / self.frames)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        check_features(x, mask, self.in_dim, "flow_mel")
        prior, condition = self._regress(x)
        mask = mask.repeat_interleave(self.frames, dim=1)
        period = clip_noise(self.seed, self.period_frames * self.frames, self.n_mels, x.device, torch.float32)
        noise = period.repeat(-(-mask.shape[1] // len(period)), 1)[: mask.shape[1]]
        z = self.temperature * noise.expand(len(x), -1, -1)
        for step in range(self.steps):
            t = torch.full((len(x), 1, 1), step / self.steps, device=x.device)
            z = z + self.velocity(z, t, prior, condition, mask)[0] / self.steps
        return zero_padding((prior + z * self.residual_std) * self.std + self.mean, mask)

    def training_loss(self, x: Tensor, mask: Tensor, batch: Batch) -> dict[str, Tensor]:
        check_features(x, mask, self.in_dim, "flow_mel")
        prior, condition = self._regress(x)
        mask = batch.mel_mask()
        target = (batch.mel - self.mean) / self.std
        loss_prior = (prior[mask] - target[mask]).abs().mean() * self.std
        z1 = (target - prior.detach()) / self.residual_std
        r = lambda y: y.repeat(self.draws, *[1] * (y.ndim - 1))
        z1, prior, condition, mask = r(z1), r(prior), r(condition), r(mask)
        n = len(z1)
        t = ((torch.rand(1, device=x.device) + torch.arange(n, device=x.device)[torch.randperm(n)] / n) % 1)[:, None, None]
        noise = torch.randn_like(z1)
        z = (1 - t) * noise + t * z1
        v, s = self.velocity(z, t, prior.detach(), condition, mask)
        loss = (s * (v - (z1 - noise)).square())[mask].mean()
        return {"flow": self.flow_weight * loss, "prior": self.prior_weight * loss_prior}

    def _regress(self, x):
        return (self.prior(x).float().unflatten(-1, (self.frames, -1)).flatten(1, 2),
                self.condition(x).unflatten(-1, (self.frames, -1)).flatten(1, 2))

    def velocity(self, z, t, prior, condition, mask):
        s = (1 - t).square() + t.square()
        h = self.embed(torch.cat([z / s.sqrt(), prior], dim=-1)) + condition
        freq = torch.exp(torch.linspace(0, math.log(1000), TIME_DIM // 2, device=z.device))
        modulations = self.time(torch.cat([(t * freq).sin(), (t * freq).cos()], dim=-1))
        for block, m in zip(self.blocks, modulations.chunk(len(self.blocks), dim=-1)):
            h = block(h, mask, m)
        out = self.out(self.norm(h)).float()
        return (2 * t - 1) / s * z + out / s.sqrt(), s
