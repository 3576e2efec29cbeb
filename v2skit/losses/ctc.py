"""Connectionist temporal classification of the tokens that a head reads."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.data.batch import PADDING, Batch
from v2skit.errors import UserError
from v2skit.models.output import Output


class Ctc(nn.Module):
    """CTC loss (Graves et al. 2006), in nats a token, over the clips of a batch that have tokens.

    Left out are clips without text, and those with fewer frames than CTC needs for their tokens: one a token, and one
    between two equal tokens. A batch of such clips has the loss 0.

    Args:
        stream: the logits (B,T*k,V+1) of a head, whose last entry is the blank, and the tokens (B,L) of the target of
            this name.
    """

    def __init__(self, stream: str = "tokens") -> None:
        super().__init__()
        self.stream = self.input = stream

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Logits (B,T*k,V+1), tokens (B,L) -> ``{"ctc": scalar}``."""
        logits, tokens = output.stream(self.stream).float(), batch.stream(self.stream)
        if logits.ndim != 3 or tokens.is_floating_point() or tokens.ndim != 2:
            raise UserError(
                f"loss ctc needs logits (B,L,V+1) and tokens (B,L), not {tuple(logits.shape)} and {tokens.dtype} "
                f"{tuple(tokens.shape)}; choose the stream of a head ctc and of a target tokens"
            )
        frames = batch.mask.sum(1) * (logits.shape[1] // batch.mask.shape[1])
        counts = (tokens != PADDING).sum(1)
        used = (counts > 0) & (frames_needed(tokens) <= frames)
        if not used.any():
            return {"ctc": 0.0 * logits.sum()}  # with a gradient, as every loss
        log_probs = F.log_softmax(logits[used], dim=-1).transpose(0, 1)  # (B, T k, V+1) -> (T k, B, V+1)
        targets, lengths = tokens[used].clamp(min=0).long(), (frames[used], counts[used])
        total = F.ctc_loss(log_probs, targets, *lengths, blank=logits.shape[-1] - 1, reduction="sum")
        return {"ctc": total / counts[used].sum()}


def frames_needed(tokens: Tensor) -> Tensor:
    """Frames that CTC needs at least: tokens (B,L), padded with PADDING -> (B,)."""
    valid = tokens != PADDING
    repeated = valid[:, 1:] & (tokens[:, 1:] == tokens[:, :-1])
    return valid.sum(1) + repeated.sum(1)
