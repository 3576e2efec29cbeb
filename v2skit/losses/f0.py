"""Loss of the fundamental frequency (F0) and of voicing."""

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from v2skit.data.batch import Batch
from v2skit.models.output import Output


class F0Loss(nn.Module):
    """Mean absolute difference of log F0 over the voiced frames, and binary cross-entropy of voicing over all.

    The reference is the target ``f0``, which is 0 in unvoiced frames. A difference of 0.058 is a semitone.

    Args:
        voicing_weight: weight of the cross-entropy.
    """

    input = ("f0", "voicing")
    reference = "f0"

    def __init__(self, voicing_weight: float = 1.0) -> None:
        super().__init__()
        self.voicing_weight = voicing_weight

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """f0 (B,F) in Hz, logits of voicing (B,F) -> ``{"f0": scalar, "voicing": scalar}``."""
        reference, mask = batch.stream("f0"), batch.mel_mask()
        voiced = (reference > 0) & mask
        # Where unvoiced, 1 for both: its logarithm and the gradient are 0. A batch may have no voiced frame.
        ratio = output.stream("f0").float().where(voiced, 1).log() - reference.where(voiced, 1).log()
        logits = output.stream("voicing").float()[mask]
        return {
            "f0": ratio.abs().sum() / voiced.sum().clamp(min=1),
            "voicing": self.voicing_weight * binary_cross_entropy_with_logits(logits, voiced[mask].float()),
        }
