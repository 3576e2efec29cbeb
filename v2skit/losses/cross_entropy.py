"""Cross-entropy of a stream of units."""

from torch import Tensor, nn

from v2skit.config.limits import Dropout
from v2skit.data.batch import Batch
from v2skit.models.layers.units import masked_cross_entropy
from v2skit.models.output import Output


class CrossEntropy(nn.Module):
    """Mean cross-entropy over the valid frames, of the logits that a head gives for a stream of units.

    Args:
        stream: of a head with logits (B,L,K) and a target with units (B,L).
        label_smoothing: share of the probability that is distributed over all units (Szegedy et al. 2016).
    """

    def __init__(self, stream: str = "units", label_smoothing: Dropout = 0.0) -> None:
        super().__init__()
        self.input, self.label_smoothing = stream, label_smoothing

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """logits (B,L,K) of the stream -> ``{"cross_entropy": scalar}``."""
        logits, units = output.stream(self.input), batch.stream(self.input)
        return {"cross_entropy": masked_cross_entropy(logits, units, batch.mask, self.label_smoothing)}
