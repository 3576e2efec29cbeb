"""Inverse-STFT generator (Vocos, Siuzdak 2024): ConvNeXt blocks at the mel frame rate, then one inverse STFT."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from v2skit.config.features import Mel
from v2skit.config.limits import AutoWidth, Context, Depth, Width
from v2skit.errors import UserError
from v2skit.models.layers.convnext import KERNEL, SIDE, ConvNeXtBlock, distribute
from v2skit.models.layers.masked import LookAheadConv1d, check_features
from v2skit.signal.stft import Stft

MAX_LOG_MAGNITUDE = 5.0
"""Log magnitudes are clamped to it, so that one outlier can't make the loss diverge."""


class Istft(nn.Module):
    """Predicts log magnitude and phase of every mel frame; the fastest generator on a CPU.

    (B, L, in_dim) -> (B, L * step).

    Args:
        in_dim: features an input step; given by the toolkit.
        step: samples an input step; given by the toolkit.
        mel: given by the toolkit; its hop is that of the inverse STFT.
        dim: features a mel frame.
        blocks: number of ConvNeXt blocks.
        ff_dim: hidden features of a block; 0: three times ``dim``.
        n_fft: FFT length of the inverse STFT, samples, even, at least two hops; 0: four hops.
        look_ahead_frames: largest look-ahead of the generator, input steps; what the inverse STFT does not need is
            distributed over the blocks, from the last to the first. Null: all convolutions are symmetric.

    Raises:
        UserError: the hop does not divide the input step, a size is out of range, or the look-ahead is less than that
            of the inverse STFT.
    """

    output = "waveform"

    def __init__(
        self,
        in_dim: int,
        step: int,
        mel: Mel,
        dim: Width = 512,
        blocks: Depth = 8,
        ff_dim: AutoWidth = 0,
        n_fft: AutoWidth = 0,
        look_ahead_frames: Context | None = None,
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
        stft_left, stft_right = self.stft.inverse_context()
        look_ahead, look_aheads = _distribute(look_ahead_frames, self.frames, blocks, stft_right)
        self.embed = LookAheadConv1d(in_dim, self.frames * dim, KERNEL, look_ahead)
        self.embed_norm = nn.LayerNorm(dim)
        self.blocks = nn.ModuleList(ConvNeXtBlock(dim, ff_dim, 1 / blocks, frames) for frames in look_aheads)
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, self.stft.n_fft + 2)
        left = blocks * (KERNEL - 1) - sum(look_aheads) + stft_left  # mel frames, as look_aheads
        self.left_context_frames = KERNEL - 1 - look_ahead + math.ceil(left / self.frames)
        self.look_ahead_frames = look_ahead + math.ceil((sum(look_aheads) + stft_right) / self.frames)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The waveform.

        Args:
            x: (B, L, in_dim).
            mask: (B, L), True for valid steps; None: all are valid.

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
            magnitude = log_magnitude.clamp(max=MAX_LOG_MAGNITUDE).exp()
            return self.stft.inverse(torch.complex(magnitude * phase.cos(), magnitude * phase.sin()), mask)


def _distribute(look_ahead_frames: int | None, frames: int, blocks: int, needed: int) -> tuple[int, list[int]]:
    """Distribute the look-ahead over the layers.

    Args:
        look_ahead_frames: that of the generator, input steps; None: no limit.
        frames: mel frames an input step.
        blocks: number of ConvNeXt blocks.
        needed: look-ahead of the inverse STFT, mel frames.

    Returns:
        the look-ahead of the embedding in input steps, and of each block in mel frames.

    Raises:
        UserError: it is less than that of the inverse STFT.
    """
    if look_ahead_frames is None:
        return SIDE, distribute(None, blocks)
    left = look_ahead_frames * frames - needed
    if left < 0:
        raise UserError(
            f"look_ahead_frames {look_ahead_frames} is less than the look-ahead of the inverse STFT, "
            f"{math.ceil(needed / frames)}; give as many or more, or a smaller n_fft"
        )
    look_aheads = distribute(left, blocks)
    return min(SIDE, (left - sum(look_aheads)) // frames), look_aheads
