"""Mean absolute error of the log mel."""

from torch import Tensor, nn

from v2skit.config.features import Mel
from v2skit.data.batch import Batch
from v2skit.models.layers.mel_standard import MelStandard
from v2skit.models.output import Output


class L1(nn.Module):
    """Mean absolute difference of the log mels, over the valid frames.

    Args:
        mel: given by the toolkit.
        standardise: divide by the deviation of each bin over the training clips, as the paper's line does.
    """

    input = "mel"

    def __init__(self, mel: Mel, standardise: bool = False) -> None:
        super().__init__()
        self.standard = MelStandard(mel.n_mels) if standardise else nn.Identity()

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """mel (B,F,M) -> ``{"l1": scalar}``."""
        mask = batch.mel_mask()
        assert output.mel is not None and batch.mel is not None, "input = 'mel'"
        predicted, target = self.standard(output.mel.float()), self.standard(batch.mel)
        return {"l1": (predicted - target)[mask].abs().mean()}
