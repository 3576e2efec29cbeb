"""Inverse-STFT generator (Vocos, Siuzdak 2024): ConvNeXt blocks at the mel frame rate, then one inverse STFT."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.features import Mel
from v2skit.errors import UserError
from v2skit.models.layers.masked import LookAheadConv1d, check_features
from v2skit.signal.stft import Stft

KERNEL = 7
SIDE = KERNEL // 2
LOUDEST = 5.0
"""Log magnitudes are held below it, so that one wild frame can't blow up the loss."""


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, layer norm, two linear layers, scaled residual: (B, F, dim) -> (B, F, dim).

    ``ahead``: frames after the current one that it sees.
    """

    def __init__(self, dim: int, ff_dim: int, scale: float, ahead: int) -> None:
        super().__init__()
        self.depthwise = LookAheadConv1d(dim, dim, KERNEL, ahead, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.widen = nn.Linear(dim, ff_dim)
        self.narrow = nn.Linear(ff_dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), scale))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Features (B,F,C), valid frames (B,F) -> (B,F,C)."""
        return x + self.scale * self.narrow(F.gelu(self.widen(self.norm(self.depthwise(x, mask)))))


class Istft(nn.Module):
    """Predicts log magnitude and phase of every frame. No upsampling beyond the frames: the fastest on a CPU.

    Args:
        in_dim: features an input step; given by the toolkit.
        step: samples an input step; given by the toolkit.
        mel: given by the toolkit; its hop is that of the inverse STFT.
        dim: features a frame.
        blocks: ConvNeXt blocks.
        ff_dim: features inside a block; 0: three times ``dim``.
        n_fft: of the inverse STFT, samples, even, at least two hops; 0: four hops.
        look_ahead_frames: later input steps that the output may depend on at most; what the inverse STFT leaves of
            them goes to the blocks, from the last on. Null: every convolution sees as much after as before.

    Raises:
        UserError: the hop does not divide the input step, a size is out of range, or the inverse STFT alone needs more
            later steps.
    """

    output = "waveform"

    def __init__(
        self,
        in_dim: int,
        step: int,
        mel: Mel,
        dim: int = 512,
        blocks: int = 8,
        ff_dim: int = 0,
        n_fft: int = 0,
        look_ahead_frames: int | None = None,
    ) -> None:
        super().__init__()
        if step % mel.hop:
            raise UserError(f"mel.hop {mel.hop} does not divide the {step} samples of a step; choose one that does")
        n_fft, ff_dim = n_fft or 4 * mel.hop, ff_dim or 3 * dim
        if min(dim, blocks, ff_dim) < 1:
            raise UserError(f"dim {dim}, blocks {blocks} and ff_dim {ff_dim} must be positive")
        if n_fft % 2 or mel.hop % 2 or n_fft < 2 * mel.hop:
            raise UserError(f"n_fft {n_fft} and mel.hop {mel.hop} must be even, n_fft at least two hops")
        self.in_dim, self.frames = in_dim, step // mel.hop
        self.stft = Stft(n_fft, mel.hop)
        stft_back, stft_ahead = self.stft.inverse_context()
        ahead, aheads = _shared_out(look_ahead_frames, self.frames, blocks, stft_ahead)
        self.embed = LookAheadConv1d(in_dim, self.frames * dim, KERNEL, ahead)
        self.embed_norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, ff_dim, 1 / blocks, frames) for frames in aheads)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, self.stft.n_fft + 2)
        behind = blocks * (KERNEL - 1) - sum(aheads) + stft_back  # mel frames
        self.left_context_frames = KERNEL - 1 - ahead + math.ceil(behind / self.frames)
        self.look_ahead_frames = ahead + math.ceil((sum(aheads) + stft_ahead) / self.frames)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The waveform.

        Args:
            x: (B, L, in_dim).
            mask: (B, L); None: all steps are valid.

        Returns:
            (B, L * step), zero for the steps where the mask is False.

        Raises:
            UserError: ``x`` has another shape.
        """
        mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device) if mask is None else mask
        check_features(x, mask, self.in_dim, "istft")
        x = self.embed(x, mask).unflatten(-1, (self.frames, -1)).flatten(1, 2)  # (B, L, f D) -> (B, F, D)
        mask = mask.repeat_interleave(self.frames, dim=1)
        x = self.embed_norm(x)
        for block in self.blocks:
            x = block(x, mask)
        with torch.autocast(x.device.type, enabled=False):
            spectrum = self.head(self.norm(x.float())).transpose(1, 2)  # (B, F, 2 K) -> (B, 2 K, F)
            log_magnitude, phase = spectrum.chunk(2, dim=1)
            magnitude = log_magnitude.clamp(max=LOUDEST).exp()
            return self.stft.inverse(torch.complex(magnitude * phase.cos(), magnitude * phase.sin()), mask)


def _shared_out(look_ahead_frames: int | None, frames: int, blocks: int, needed: int) -> tuple[int, list[int]]:
    """How far to look ahead.

    Args:
        look_ahead_frames: input steps for the whole generator; None: no limit.
        frames: of an input step.
        blocks: number of them.
        needed: frames that the inverse STFT takes of it.

    Returns:
        for the embedding, input steps; for each block, frames.
    """
    if look_ahead_frames is None:
        return SIDE, [SIDE] * blocks
    left = look_ahead_frames * frames - needed
    if left < 0:
        raise UserError(
            f"look_ahead_frames {look_ahead_frames} is too few, for the inverse STFT alone needs "
            f"{math.ceil(needed / frames)}; give as many or more, or a smaller n_fft"
        )
    aheads = []
    for _ in range(blocks):
        aheads.append(min(SIDE, left))
        left -= aheads[-1]
    return min(SIDE, left // frames), aheads[::-1]
