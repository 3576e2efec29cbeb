"""Features of the perceptual loss."""

import torch
from torch import Tensor, nn


class MyComponent(nn.Module):
    """Log magnitudes of short-time spectra with windows of several lengths; it has no weights.

    Args:
        windows: their lengths, samples.
        floor: added to the magnitudes.
    """

    def __init__(self, windows: tuple[int, ...] = (256, 512, 1024), floor: float = 1e-3) -> None:
        super().__init__()
        self.windows, self.floor = tuple(windows), floor
        self.digest = f"log magnitudes {self.windows} {floor}"  # identifies weights or settings in records

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """Waveform (B,N) -> features (B,L,D) for each window."""
        layers = []
        for length in self.windows:
            window = torch.hann_window(length, device=waveform.device)
            spectrum = torch.stft(waveform, length, length // 4, window=window, return_complex=True)  # (B, D, L)
            power = spectrum.real.square() + spectrum.imag.square()
            layers.append((power + self.floor**2).log().transpose(1, 2) / 2)
        return layers
