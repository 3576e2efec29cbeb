"""The short-time Fourier transform of the whole toolkit: frames centred on their hop, as many as there are hops."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.errors import UserError


class Stft(nn.Module):
    """STFT and its inverse. Frame ``m`` is centred on sample ``m * hop + hop / 2``; beyond the ends the signal is zero.

    Args:
        n_fft: FFT length, samples.
        hop: from frame to frame, samples.
        window: Hann window length, samples; 0: ``n_fft``.

    Raises:
        UserError: the window is longer than ``n_fft``, or ``n_fft - hop`` is odd.
    """

    def __init__(self, n_fft: int, hop: int, window: int = 0) -> None:
        super().__init__()
        window = window or n_fft
        if not 0 < hop <= n_fft or window > n_fft or (n_fft - hop) % 2:
            raise UserError(
                f"window {window} and hop {hop} must not exceed n_fft {n_fft}, and n_fft - hop must be even"
            )
        self.n_fft, self.hop, self.length = n_fft, hop, window
        self.register_buffer("window", torch.hann_window(window), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """(B,N) -> complex (B, n_fft/2+1, F), F = N // hop. Float32, whatever the autocast."""
        pad = (self.n_fft - self.hop) // 2
        with torch.autocast(waveform.device.type, enabled=False):
            padded = F.pad(waveform.float(), (pad, pad))
            return torch.stft(padded, self.n_fft, self.hop, self.length, self.window, center=False, return_complex=True)

    def power(self, waveform: Tensor) -> Tensor:
        """(B,N) -> squared magnitudes (B,F,K); smooth, also in its second derivative, where they are zero."""
        spectrum = torch.view_as_real(self(waveform))
        return spectrum.square().sum(-1).transpose(1, 2)

    def inverse(self, spectrum: Tensor, mask: Tensor | None = None) -> Tensor:
        """Windowed overlap-add over the squared windows' sum.

        Args:
            spectrum: complex (B, n_fft/2+1, F).
            mask: (B,F), frames that are there; None: all.

        Returns:
            (B, F * hop), zero for the hops of frames that are not there.
        """
        left = (self.n_fft - self.length) // 2
        window = F.pad(self.window, (left, self.n_fft - self.length - left))
        frames = torch.fft.irfft(spectrum, self.n_fft, dim=1) * window[:, None]  # (B, n_fft, F)
        there = frames.new_ones(1, 1, frames.shape[-1]) if mask is None else mask[:, None].to(frames.dtype)
        total = self._overlap_add(frames * there)
        weight = self._overlap_add(window.square()[None, :, None] * there)
        return total / weight.clamp(min=1e-8) * there[:, 0].repeat_interleave(self.hop, dim=1)

    def frame_mask(self, sample_mask: Tensor) -> Tensor:
        """(B,N) -> (B,F): a frame is valid where its centre is."""
        return sample_mask[:, self.hop // 2 :: self.hop][:, : sample_mask.shape[1] // self.hop]

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """(B, n_fft, F) -> (B, F * hop)."""
        length, pad = self.hop * frames.shape[-1], (self.n_fft - self.hop) // 2
        size = length + self.n_fft - self.hop
        whole = F.fold(frames, (1, size), (1, self.n_fft), stride=(1, self.hop))
        return whole[:, 0, 0, pad : pad + length]
