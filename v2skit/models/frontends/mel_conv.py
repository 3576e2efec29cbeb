"""Audio frontend on the log mel: convolutions over time, the last one strided from mel frames to video frames."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.config.limits import Kernel, Width
from v2skit.errors import UserError
from v2skit.models.layers.masked import MaskedConv1d, check_frames, on_valid


class MelConv(nn.Module):
    """Convolutions over mel frames, then one strided convolution to the video frame rate: (B,F,M) -> (B,T,out_dim).

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
        channels: output channels of each convolution at the mel frame rate.
        out_dim: features a video frame.
        kernel: kernel size of the convolutions at the mel frame rate, mel frames; odd.
        mean: subtracted from the log mel.
        std: divisor of the log mel.

    Raises:
        UserError: the kernel is even, or ``std`` is not positive.
    """

    input = "mel"

    def __init__(
        self,
        clock: Clock,
        mel: Mel,
        channels: tuple[Width, ...] = (192, 192),
        out_dim: Width = 256,
        kernel: Kernel = 5,
        mean: float = -5.0,
        std: float = 2.5,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0 or std <= 0:
            raise UserError(f"kernel {kernel} must be odd and std {std} positive")
        self.mels_per_frame = mel.per_frame(clock)
        self.n_mels, self.out_dim, self.mean, self.std = mel.n_mels, out_dim, mean, std
        widths = (mel.n_mels, *channels)
        self.convs = nn.ModuleList(
            MaskedConv1d(i, o, kernel, padding=kernel // 2, bias=False) for i, o in zip(widths, channels)
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for width in channels)
        # The kernel covers a video frame and one more on either side.
        step = self.mels_per_frame
        self.down = MaskedConv1d(widths[-1], out_dim, 3 * step, stride=step, padding=step, bias=False)
        self.down_norm = nn.BatchNorm1d(out_dim)

    def forward(self, mel: Tensor, mask: Tensor) -> Tensor:
        """Features of every video frame.

        Args:
            mel: (B, T * mels_per_frame, M), log magnitudes.
            mask: (B, T), True for valid video frames.

        Returns:
            (B, T, out_dim), zero where the mask is False.

        Raises:
            UserError: the mel has another length or another number of bins.
        """
        check_frames(mel.shape[1], mask, self.mels_per_frame, "mel_conv: mel")
        if mel.shape[2] != self.n_mels:
            raise UserError(f"mel_conv: mel of {mel.shape[2]} bins, built for {self.n_mels}; use the config's mel")
        mel_mask = mask.repeat_interleave(self.mels_per_frame, dim=1)
        x = (mel - self.mean) / self.std
        for conv, norm in zip(self.convs, self.norms):
            x = F.silu(on_valid(norm, conv(x, mel_mask), mel_mask))
        return F.silu(on_valid(self.down_norm, self.down(x, mel_mask), mask))
