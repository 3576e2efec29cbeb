"""A loss on the first difference of the mel over time."""

from torch import Tensor, nn

from v2skit.data.batch import Batch
from v2skit.models.output import Output


class Delta(nn.Module):
    """L1 of the differences between neighbouring mel frames."""

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """mel (B,F,M) -> ``{"delta": scalar}``."""
        mask = batch.mel_mask()[:, 1:]
        error = output.mel.float().diff(dim=1) - batch.mel.diff(dim=1)
        return {"delta": error[mask].abs().mean()}
