"""Weights of wav2vec 2.0, HuBERT and WavLM as fairseq and Hugging Face publish them, by the names of torchaudio."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from v2skit.models.foreign import read_foreign, unwrapped

PROJECTION = "feature_projection.projection.weight"
"""Ends the name of a tensor that each of these models has in Hugging Face's naming."""
FAIRSEQ = "post_extract_proj.weight"
"""The same in fairseq's."""
WEIGHT_NORM = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}


def read_renamed(file: Path) -> dict[str, Tensor] | None:
    """The weights of a file by torchaudio's names.

    Args:
        file: a checkpoint of fairseq, or ``model.safetensors`` or ``pytorch_model.bin`` of Hugging Face. Parts for
            pre-training only are left out.

    Returns:
        None where the file is neither of these, such as one that torchaudio publishes.

    Raises:
        UserError: it can't be read.
        ValueError, KeyError: it has tensors that no such model has, or lacks some.
    """
    tree: Any = load_file(file) if file.suffix == ".safetensors" else unwrapped(read_foreign(file))
    content = tree.get("model", tree) if isinstance(tree, Mapping) else {}
    state = {n: value for n, value in content.items() if isinstance(value, Tensor)}
    if any(name.endswith(FAIRSEQ) for name in state):
        return _of_fairseq(state)
    prefix = next((n.removesuffix(PROJECTION) for n in state if n.endswith(PROJECTION)), "encoder.")
    return None if prefix == "encoder." else _of_hugging_face(state, prefix)


def _of_fairseq(state: dict[str, Tensor]) -> dict[str, Tensor]:
    # Its public function needs a model that fairseq has built; 2.11 is torchaudio's last release.
    convert = importlib.import_module("torchaudio.models.wav2vec2.utils.import_fairseq")._convert_state_dict
    return {n: value for n, value in convert(state).items() if n != "label_embs_concat"}


def _of_hugging_face(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    parts: dict[str, dict[str, Tensor]] = {"feature_extractor": {}, "feature_projection": {}, "encoder": {}}
    for name, value in state.items():
        part, _, rest = name.removeprefix(prefix).partition(".")
        if name.startswith(prefix) and part in parts:
            for theirs, ours in WEIGHT_NORM.items():
                rest = rest.replace(theirs, ours)
            parts[part][rest] = value
    encoder = parts["encoder"]
    if "layers.0.attention.gru_rel_pos_const" in encoder:  # WavLM
        utils = importlib.import_module("torchaudio.models.wav2vec2.utils.import_huggingface")
        layers = sum(name.endswith("gru_rel_pos_const") for name in encoder)
        utils.transform_wavlm_encoder_state(encoder, layers)
    places = {"feature_extractor": "feature_extractor.", "feature_projection": "encoder.feature_projection."}
    places["encoder"] = "encoder.transformer."
    return {places[part] + name: value for part, found in parts.items() for name, value in found.items()}
