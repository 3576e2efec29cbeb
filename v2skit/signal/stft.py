"""The short-time Fourier transform, with exactly one frame for each hop, centred on it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.errors import UserError


class Stft(nn.Module):
    """STFT and its inverse. Frame ``m`` is centred on sample ``m * hop + hop / 2``; the signal is zero-padded.

    Args:
        n_fft: FFT length, samples.
        hop: distance between frames, samples.
        window: length of the Hann window, samples; 0: ``n_fft``.

    Raises:
        UserError: the window is longer than ``n_fft``, or ``n_fft - hop`` is odd.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop: int, window: int = 0) -> None:
        super().__init__()
        window = window or n_fft
        if not 0 < hop <= n_fft or window > n_fft or (n_fft - hop) % 2:
            raise UserError(
                f"window {window} and hop {hop} must not exceed n_fft {n_fft}, and n_fft - hop must be even"
            )
        self.n_fft, self.hop, self.length = n_fft, hop, window
        self.register_buffer("window", torch.hann_window(window), persistent=False)
        self._margin = (n_fft - hop) // 2 - (n_fft - window) // 2  # samples by which a window begins before its hop
        self._cached_weight: Tensor | None = None

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform (B,N) -> complex spectrum (B, n_fft/2+1, F), F = N // hop; float32 whatever the autocast."""
        pad = (self.n_fft - self.hop) // 2
        with torch.autocast(waveform.device.type, enabled=False):
            padded = F.pad(waveform.float(), (pad, pad))
            return torch.stft(padded, self.n_fft, self.hop, self.length, self.window, center=False, return_complex=True)

    def power(self, waveform: Tensor) -> Tensor:
        """Waveform (B,N) -> power spectrum (B,F,K), K = n_fft/2+1; unlike magnitude, smooth where it is zero."""
        spectrum = torch.view_as_real(self(waveform))
        return spectrum.square().sum(-1).transpose(1, 2)

    def inverse(self, spectrum: Tensor, mask: Tensor | None = None) -> Tensor:
        """Windowed overlap-add, normalised by the sum of the squared windows.

        Args:
            spectrum: complex (B, n_fft/2+1, F).
            mask: bool (B,F), valid frames; None: all.

        Returns:
            waveform (B, F * hop), zero in the hops of invalid frames.
        """
        left = (self.n_fft - self.length) // 2
        frames = self._frames(spectrum.transpose(1, 2))[..., left : left + self.length] * self.window
        if mask is None:
            return self._overlap_add(frames) / self._weight(frames.shape[1], frames.device)
        valid = mask[..., None].to(frames.dtype)
        total, weight = self._overlap_add(frames * valid), self._overlap_add(self.window.square() * valid)
        return total / weight.clamp(min=1e-8) * valid[..., 0].repeat_interleave(self.hop, dim=1)

    def _frames(self, spectrum: Tensor) -> Tensor:
        """Complex spectrum (B,F,K) -> frames (B, F, n_fft).

        In an export it is a matrix product: ONNX has no inverse transform of half a spectrum, and the transform of
        onnxruntime 1.32 takes 30 times as long for lengths that are no power of two.
        """
        if not torch.compiler.is_exporting():
            return torch.fft.irfft(spectrum, self.n_fft)
        units = np.eye(spectrum.shape[-1])
        matrix = np.fft.irfft(np.stack([units, 1j * units], axis=1), self.n_fft).reshape(-1, self.n_fft)  # (2 K, n_fft)
        return torch.view_as_real(spectrum).flatten(-2) @ torch.from_numpy(matrix.astype(np.float32))

    def inverse_context(self) -> tuple[int, int]:
        """Left and right context of the inverse: frames before and after its own that a hop of samples depends on."""
        ahead = -(-(self._margin - 1) // self.hop)  # the first value of a window is 0
        return -(-(self.length - self._margin) // self.hop) - 1, ahead

    def _weight(self, count: int, device: torch.device) -> Tensor:
        """Sum of the squared windows of ``count`` frames, (1, count * hop); the latest one is cached."""
        cached = self._cached_weight
        if cached is None or cached.shape[1] != count * self.hop or cached.device != device:
            weight = self._overlap_add(self.window.square().expand(1, count, -1))
            cached = self._cached_weight = weight.clamp(min=1e-8)
        return cached

    def frame_mask(self, sample_mask: Tensor) -> Tensor:
        """Mask of samples (B,N) -> mask of frames (B,F): a frame is valid where the sample at its centre is."""
        return sample_mask[:, self.hop // 2 :: self.hop][:, : sample_mask.shape[1] // self.hop]

    def _overlap_add(self, frames: Tensor) -> Tensor:
        """Windowed frames (B, F, length), centred on their hops -> their sum (B, F * hop)."""
        before = -(-self._margin // self.hop)  # whole hops
        count, start = frames.shape[1], before * self.hop - self._margin
        hops = -(-(start + self.length) // self.hop)
        pieces = F.pad(frames, (start, hops * self.hop - start - self.length)).unflatten(-1, (hops, self.hop))
        total = pieces.new_zeros(frames.shape[0], count + hops - 1, self.hop)
        for hop in range(hops):
            total[:, hop : hop + count] += pieces[:, :, hop]
        return total[:, before : before + count].flatten(1)
