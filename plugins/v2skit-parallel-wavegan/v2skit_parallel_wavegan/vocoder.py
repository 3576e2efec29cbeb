"""Parallel WaveGAN (Yamamoto et al. 2020), as trained by the package parallel_wavegan."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit_parallel_wavegan.checkpoint import load_generator, load_statistics
from v2skit_parallel_wavegan.settings import check_mel, read_config


class ParallelWaveGan(nn.Module):
    """A trained Parallel WaveGAN: log mel (B,F,M) -> waveform (B, F * hop).

    The package's mel frame ``m``, which conditions the samples ``[m * hop, (m + 1) * hop)``, is centred on ``m * hop``,
    the toolkit's on ``m * hop + hop / 2``. The generator's output for the toolkit's frames is therefore half a hop
    early: its sample ``n`` is sample ``n + hop / 2`` of the waveform.

    Args:
        clock: given by the toolkit.
        mel: given by the toolkit.
        checkpoint: ``checkpoint-<steps>steps.pkl``; paths are relative to the working directory.
        config: config of its training; null: ``config.yml`` in the folder of the checkpoint.
        stats: mean and deviation of its mel; null: ``stats.h5`` or ``stats.npy`` in the folder of the checkpoint.

    Raises:
        UserError: a file or the package is missing, or the vocoder was trained on another mel.
    """

    def __init__(
        self, clock: Clock, mel: Mel, checkpoint: str, config: str | None = None, stats: str | None = None
    ) -> None:
        super().__init__()
        path = Path(checkpoint).expanduser()
        config_path = Path(config).expanduser() if config else path.parent / "config.yml"
        settings = read_config(config_path)
        check_mel(settings, config_path, clock, mel)
        self.hop = mel.hop
        self.generator = load_generator(path, settings)
        stats_path = _statistics(path.parent, stats)
        mean, scale = load_statistics(stats_path, mel.n_mels)
        self.register_buffer("mean", mean, persistent=False)  # (M,)
        self.register_buffer("scale", scale, persistent=False)  # (M,)
        # Recorded with the synthesised speech.
        files = b"".join(file.read_bytes() for file in (path, config_path, stats_path))
        self.digest = hashlib.sha256(files).hexdigest()[:12]

    @torch.no_grad()
    def forward(self, mel: Tensor) -> Tensor:
        """Log mel (B,F,M) -> waveform (B, F * hop). Deterministic: the noise has a fixed seed."""
        length, context = mel.shape[1] * self.hop, self.generator.aux_context_window
        x = ((mel.float() - self.mean) / self.scale).transpose(1, 2)  # (B, F, M) -> (B, M, F)
        # One more frame at the start, for the half hop before the first centre.
        x = F.pad(x, (context + 1, context), mode="replicate")
        seed = torch.Generator().manual_seed(0)
        noise = torch.randn(1, 1, length + self.hop, generator=seed).to(mel.device).expand(len(mel), -1, -1)
        early = self.generator(noise, x)[:, 0]  # (B, (F + 1) * hop)
        # The generator's first sample is sample -hop + hop / 2 of the waveform.
        first = self.hop - self.hop // 2
        return early[:, first : first + length]


def _statistics(folder: Path, stats: str | None) -> Path:
    if stats:
        return Path(stats).expanduser()
    as_array = folder / "stats.npy"
    return as_array if as_array.exists() and not (folder / "stats.h5").exists() else folder / "stats.h5"
