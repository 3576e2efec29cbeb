"""Self-supervised speech models of torchaudio (wav2vec 2.0, HuBERT, WavLM) as feature extractors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.features import Clock
from v2skit.errors import UserError
from v2skit.models.torchaudio_bundles import load_bundle
from v2skit.system.checksum import sha256_of

if TYPE_CHECKING:
    from torchaudio.models import Wav2Vec2Model


class TorchaudioBundle(nn.Module):
    """Outputs of the transformer layers of a bundle of ``torchaudio.pipelines``; nothing is downloaded.

    Args:
        clock: given by the toolkit.
        bundle: its name, such as ``WAV2VEC2_BASE``, ``HUBERT_BASE`` or ``WAVLM_BASE_PLUS``.
        file: its weights as torchaudio publishes them, or as fairseq (``.pt``) or Hugging Face (``model.safetensors``
            or ``pytorch_model.bin``) does, relative to the folder that the command runs in.
        layers: transformer layers, the first is 1; none: all.

    Raises:
        UserError: torchaudio is not installed or does not fit the installed torch, there is no such bundle or layer,
            or the file is missing or holds other weights.
    """

    def __init__(self, clock: Clock, bundle: str, file: str, layers: tuple[int, ...] = ()) -> None:
        super().__init__()
        torchaudio, found, model = load_bundle("extractor 'torchaudio'", bundle, Path(file))
        self.digest = sha256_of(Path(file))[:12]
        # torchaudio wraps a model whose input must be normalised. The wrapper normalises over the whole batch; here it
        # is done per clip, so that the features of a clip do not depend on the others.
        self.normalise = not isinstance(model, torchaudio.models.Wav2Vec2Model)
        network: Any = model.model if self.normalise else model
        self.model: Wav2Vec2Model = network
        depth = len(network.encoder.transformer.layers)
        self.layers = sorted(layers) or list(range(1, depth + 1))
        if not 1 <= self.layers[0] <= self.layers[-1] <= depth:
            raise UserError(f"layers {layers}: {bundle} has the layers 1..{depth}")
        self.resample = torchaudio.transforms.Resample(clock.sample_rate, int(found.sample_rate))

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """(B,N) -> (B,L,D) of each layer."""
        waveform = self.resample(waveform)
        if self.normalise:
            waveform = F.layer_norm(waveform, waveform.shape[1:])
        features, _ = self.model.extract_features(waveform, num_layers=self.layers[-1])
        return [features[layer - 1] for layer in self.layers]
