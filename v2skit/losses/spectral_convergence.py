"""Spectral convergence of the log mel."""

from torch import Tensor, nn

from v2skit.data.batch import Batch
from v2skit.models.output import Output


class SpectralConvergence(nn.Module):
    """||P - G||_F / ||G||_F of the log mels, over the valid frames (SVTS, Mira et al. 2022; G is the target)."""

    input = "mel"

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """mel (B,F,M) -> ``{"spectral_convergence": scalar}``."""
        mask = batch.mel_mask()
        assert output.mel is not None and batch.mel is not None, "input = 'mel'"
        target = batch.mel[mask]
        return {"spectral_convergence": (output.mel.float()[mask] - target).norm() / target.norm().clamp(min=1e-8)}
