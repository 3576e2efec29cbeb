"""Mean absolute error of the log mel."""

from torch import Tensor, nn

from v2skit.data.batch import Batch
from v2skit.models.output import Output


class L1(nn.Module):
    """Mean absolute difference of the log mels, over the valid frames."""

    input = "mel"

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """mel (B,F,M) -> ``{"l1": scalar}``."""
        mask = batch.mel_mask()
        assert output.mel is not None and batch.mel is not None, "input = 'mel'"
        return {"l1": (output.mel.float() - batch.mel)[mask].abs().mean()}
