"""A vocoder for units: an embedding in place of the mel, before any generator."""

from __future__ import annotations

import math
from typing import Annotated, Any

from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.errors import UserError
from v2skit.models.decoders.rates import at_rate
from v2skit.models.layers.units import units_of
from v2skit.registry.component import Component


class UnitsVocoder(nn.Module):
    """Embeds units, repeats them to mel frames, and generates the waveform from these (after Polyak et al. 2021,
    without their speaker embedding and F0): (B, T * per_frame) -> (B, N).

    Args:
        in_dim: features of an embedding, as many as a mel frame has; given by the toolkit.
        clock: given by the toolkit.
        mel: given by the toolkit.
        targets: the targets by stream; given by the toolkit.
        generator: a vocoder that is trained, such as ``{type: istft}``, with its input of mel frames.

    Raises:
        UserError: there is no target ``units``, or it has no units, or the generator is not one to train on mels.
    """

    input = "units"

    def __init__(
        self, in_dim: int, clock: Clock, mel: Mel, targets: dict[str, Any], generator: Annotated[Component, "vocoder"]
    ) -> None:
        super().__init__()
        module: Any = generator
        if getattr(module, "input", "mel") != "mel" or not any(p.requires_grad for p in module.parameters()):
            raise UserError("its generator must be one that is trained on mels; choose istft, hifigan or wavegan")
        target = units_of(targets, self.input)
        mels = mel.per_frame(clock)
        if mels % target.per_frame:
            raise UserError(
                f"{target.per_frame} units a video frame do not divide its {mels} mel frames; choose a per_frame that "
                "does"
            )
        self.clusters, self.repeats = target.clusters, mels // target.per_frame
        self.embedding = nn.Embedding(target.clusters, in_dim)
        self.generator = module
        for name in ("left_context_frames", "look_ahead_frames"):
            context = getattr(module, name, None)
            setattr(self, name, None if context is None else math.ceil(context / self.repeats))

    def forward(self, units: Tensor, mask: Tensor | None = None) -> Tensor:
        """The waveform.

        Args:
            units: (B, L), from 0 to clusters - 1; where the mask is False they may be any number.
            mask: (B, L), True for valid steps; None: all are valid.

        Returns:
            (B, L * samples a unit), zero for the steps where the mask is False.
        """
        if mask is not None:
            units = units.masked_fill(~mask, 0)
        x = self.embedding(units.long()).repeat_interleave(self.repeats, dim=1)  # (B, L) -> (B, F, M)
        return self.generator(x, at_rate(mask, self.repeats))
