"""The perceptual loss: mean absolute error of the features of a frozen network."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from torch import Tensor

from v2skit.data.batch import Batch
from v2skit.losses.frozen import FrozenNetwork
from v2skit.models.output import Output
from v2skit.registry.component import Component

DEFAULT = Component("audio_frontend", {"run": "exp/mel/pretrain"}, kind="extractor")


class Perceptual(FrozenNetwork):
    """Absolute difference of an extractor's features, relative to the target's, averaged over its layers (after
    V2S-WGAN, Mira et al. 2022).

    Of each layer, ``sum |f(output) - f(target)| / sum |f(target)|`` over the batch: 0 for a perfect output, about 1
    for an unrelated one. The weight is thus independent of the extractor's scale; V2S-WGAN's 140 is for the absolute
    difference of PASE features and does not carry over.

    Args:
        extractor: frozen, in evaluation mode, and in neither the state_dict nor the parameters. By default the audio
            frontend of the mel family's pre-training in the same recipe.
    """

    input = "waveform"

    def __init__(self, extractor: Annotated[Component, "extractor"] = DEFAULT) -> None:
        network: Any = extractor
        super().__init__(network)
        self.digest: str | None = getattr(extractor, "digest", None)

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """waveform (B,N) -> ``{"perceptual": scalar}``."""
        assert output.waveform is not None, "input = 'waveform'"
        extractor, sums = self.frozen, []
        with torch.autocast(batch.waveform.device.type, enabled=False):
            for rows, samples in _by_length(batch):
                predicted = extractor(output.waveform[rows, :samples].float())
                with torch.no_grad():
                    target = extractor(batch.waveform[rows, :samples].float())
                sums.append(
                    torch.stack([torch.stack([(p - t).abs().sum(), t.abs().sum()]) for p, t in zip(predicted, target)])
                )
        difference, size = torch.stack(sums).sum(0).unbind(1)  # (layers,), (layers,)
        return {"perceptual": (difference / size.clamp(min=1e-8)).mean()}


def _by_length(batch: Batch) -> list[tuple[Tensor, int]]:
    """The rows of the clips of each length, and that length in samples.

    An extractor has no mask and may normalise over time or attend to all of it: its input must be whole clips without
    padding. Training segments mostly share one length.
    """
    frames = batch.mask.sum(1)
    step = batch.waveform.shape[1] // batch.mask.shape[1]
    return [((frames == n).nonzero().squeeze(1), n * step) for n in frames.unique().tolist()]
