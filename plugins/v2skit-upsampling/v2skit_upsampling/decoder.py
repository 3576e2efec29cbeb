"""A mel decoder that upsamples with a transposed convolution."""

from torch import Tensor, nn

from v2skit.config.features import Clock, Mel


class MelUpsampling(nn.Module):
    """Transposed convolution to the mel frame rate, then a linear layer to the bins: (B,T,E) -> (B,F,M).

    Args:
        in_dim: features E of the encoder; given by the toolkit.
        clock: given by the toolkit.
        mel: given by the toolkit.
        channels: channels of the transposed convolution.
    """

    output = "mel"

    def __init__(self, in_dim: int, clock: Clock, mel: Mel, channels: int = 128) -> None:
        super().__init__()
        self.rate = mel.per_frame(clock)
        self.upsample = nn.ConvTranspose1d(in_dim, channels, self.rate, stride=self.rate)
        self.to_mel = nn.Sequential(nn.SiLU(), nn.Linear(channels, mel.n_mels))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B,T,E), (B,T) -> log mel (B,F,M), zero beyond the mask."""
        x = self.upsample(x.transpose(1, 2)).transpose(1, 2)  # (B, T, E) -> (B, F, C)
        return self.to_mel(x) * mask.repeat_interleave(self.rate, dim=1)[..., None]
