"""Spectral convergence of the log mel."""

from torch import Tensor, nn

from v2skit.config.features import Mel
from v2skit.data.batch import Batch
from v2skit.models.layers.mel_standard import MelStandard
from v2skit.models.output import Output


class SpectralConvergence(nn.Module):
    """||P - G||_F / ||G||_F of the log mels, over the valid frames (SVTS, Mira et al. 2022; G is the target).

    Args:
        mel: given by the toolkit.
        standardise: P and G are standardised per bin over the training clips, as in the paper's line. Else ||G|| is
            mostly the mean of a log mel, whatever its unit, and the term has a third of the value.
    """

    input = "mel"

    def __init__(self, mel: Mel, standardise: bool = False) -> None:
        super().__init__()
        self.standard = MelStandard(mel.n_mels) if standardise else nn.Identity()

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """mel (B,F,M) -> ``{"spectral_convergence": scalar}``."""
        mask = batch.mel_mask()
        assert output.mel is not None and batch.mel is not None, "input = 'mel'"
        predicted, target = self.standard(output.mel.float())[mask], self.standard(batch.mel)[mask]
        return {"spectral_convergence": (predicted - target).norm() / target.norm().clamp(min=1e-8)}
