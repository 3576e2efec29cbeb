"""Self-supervised speech models of torchaudio (wav2vec 2.0, HuBERT, WavLM) as feature extractors."""

from __future__ import annotations

import hashlib
import importlib
import pickle
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from v2skit.config.features import Clock
from v2skit.errors import UserError, suggestion

if TYPE_CHECKING:
    from torchaudio.models import Wav2Vec2Model
    from torchaudio.pipelines import Wav2Vec2Bundle


class TorchaudioBundle(nn.Module):
    """Outputs of the transformer layers of a bundle of ``torchaudio.pipelines``; nothing is downloaded.

    Args:
        clock: given by the toolkit.
        bundle: its name, such as ``WAV2VEC2_BASE``, ``HUBERT_BASE`` or ``WAVLM_BASE_PLUS``.
        file: its weights as torchaudio publishes them, relative to the folder that the command runs in.
        layers: transformer layers, the first is 1; none: all.

    Raises:
        UserError: torchaudio is not installed or does not fit the installed torch, there is no such bundle or layer,
            or the file is missing or holds other weights.
    """

    def __init__(self, clock: Clock, bundle: str, file: str, layers: tuple[int, ...] = ()) -> None:
        super().__init__()
        torchaudio = _torchaudio()
        kind = torchaudio.pipelines.Wav2Vec2Bundle
        bundles = {n: b for n, b in vars(torchaudio.pipelines).items() if isinstance(b, kind)}
        if bundle not in bundles:
            raise UserError(f"torchaudio has no bundle '{bundle}'{suggestion(bundle, bundles)}")
        model = _load(bundle, bundles[bundle], Path(file))
        self.digest = hashlib.sha256(Path(file).read_bytes()).hexdigest()[:12]
        # torchaudio wraps a model whose input must be normalised. The wrapper normalises over the whole batch; here it
        # is done per clip, so that the features of a clip do not depend on the others.
        self.normalise = not isinstance(model, torchaudio.models.Wav2Vec2Model)
        network: Any = model.model if self.normalise else model
        self.model: Wav2Vec2Model = network
        depth = len(network.encoder.transformer.layers)
        self.layers = sorted(layers) or list(range(1, depth + 1))
        if not 1 <= self.layers[0] <= self.layers[-1] <= depth:
            raise UserError(f"layers {layers}: {bundle} has the layers 1..{depth}")
        self.resample = torchaudio.transforms.Resample(clock.sample_rate, int(bundles[bundle].sample_rate))

    def forward(self, waveform: Tensor) -> list[Tensor]:
        """(B,N) -> (B,L,D) of each layer."""
        waveform = self.resample(waveform)
        if self.normalise:
            waveform = F.layer_norm(waveform, waveform.shape[1:])
        features, _ = self.model.extract_features(waveform, num_layers=self.layers[-1])
        return [features[layer - 1] for layer in self.layers]


def _torchaudio() -> ModuleType:
    """The package, imported late: its compiled part refuses a torch for another CUDA release, or for none."""
    try:
        return importlib.import_module("torchaudio")
    except ModuleNotFoundError as error:
        raise UserError(f"extractor 'torchaudio' needs it: pip install 'v2skit[torchaudio]' ({error})") from error
    except (ImportError, RuntimeError, OSError) as error:
        raise UserError(
            f"torchaudio {version('torchaudio')} does not work with torch {torch.__version__} ({error}); install "
            "both for one CUDA release (on PyPI: torchaudio 2.11, torch 2.11 to 2.14) or both for the CPU, or choose "
            "another extractor (v2skit components)"
        ) from error


def _load(name: str, bundle: Wav2Vec2Bundle, file: Path) -> nn.Module:
    """The bundle's model with the weights of a file. Raises UserError where it is missing or does not fit."""
    path = getattr(bundle, "_path", "")  # for the messages only
    address = path if path.startswith("https") else f"https://download.pytorch.org/torchaudio/models/{path}"
    if not file.is_file():
        raise UserError(f"file {file} is missing; the weights of {name} are published as {address}")
    # torchaudio uses an existing file as its cached download.
    local = {"model_dir": str(file.parent), "file_name": file.name, "map_location": "cpu", "weights_only": True}
    try:
        return bundle.get_model(dl_kwargs=local)
    except (OSError, EOFError, RuntimeError, pickle.UnpicklingError, TypeError, KeyError, AttributeError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]  # else every tensor of the model
        raise UserError(f"{file} does not hold the weights of {name} ({why}); get {address}") from error
