"""A loss of the mel."""

from torch import Tensor, nn

from v2skit.data.batch import Batch
from v2skit.models.output import Output


class MyComponent(nn.Module):
    """Mean absolute difference of the change from a mel frame to the next, over the valid frames."""

    input = "mel"  # the stream that the model must output, or a tuple of several

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """mel (B,F,M) -> ``{"my_component": scalar}``."""
        valid = batch.mel_mask()[:, 1:]
        difference = output.stream("mel").float() - batch.stream("mel")
        return {"my_component": difference.diff(dim=1)[valid].abs().mean()}
