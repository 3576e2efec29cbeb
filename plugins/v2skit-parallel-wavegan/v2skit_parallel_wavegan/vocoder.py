"""Parallel WaveGAN (Yamamoto et al. 2020), as trained by the package parallel_wavegan."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit_parallel_wavegan.checkpoint import load_generator, load_statistics
from v2skit_parallel_wavegan.settings import check_mel, read_config

PACK = "the pack"
PACKED = (
    "sampling_rate", "sampling_rate_for_feats", "fft_size", "win_length", "hop_size", "num_mels", "fmin", "fmax",
    "log_base", "window", "global_gain_scale", "generator_type", "generator_params",
)  # fmt: skip
"""Keys of config.yml that a pack has."""


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
        packed: instead of these files, the settings in a pack, which has the weights.

    Raises:
        UserError: a file or the package is missing, or the vocoder was trained on another mel.
    """

    def __init__(
        self,
        clock: Clock,
        mel: Mel,
        checkpoint: str | None = None,
        config: str | None = None,
        stats: str | None = None,
        packed: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if checkpoint is None and packed is None:
            raise UserError("checkpoint: give the path of a trained one, checkpoint-<steps>steps.pkl", key="checkpoint")
        path = Path(checkpoint or PACK).expanduser()
        config_path = Path(config).expanduser() if config else path.parent / "config.yml"
        self.settings = read_config(config_path) if packed is None else packed
        check_mel(self.settings, config_path if packed is None else path, clock, mel)
        self.hop = mel.hop
        self.generator = load_generator(path, self.settings, with_weights=packed is None)
        mean, scale, self.digest = torch.zeros(mel.n_mels), torch.ones(mel.n_mels), ""
        if packed is None:
            stats_path = _statistics(path.parent, stats)
            mean, scale = load_statistics(stats_path, mel.n_mels)
            # Recorded with the synthesised speech.
            files = b"".join(file.read_bytes() for file in (path, config_path, stats_path))
            self.digest = hashlib.sha256(files).hexdigest()[:12]
        self.register_buffer("mean", mean)  # (M,)
        self.register_buffer("scale", scale)  # (M,)

    def pack_arguments(self) -> dict[str, Any]:
        """The arguments that build it in a pack, without its files."""
        return {"packed": {key: self.settings[key] for key in PACKED if key in self.settings}}

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
