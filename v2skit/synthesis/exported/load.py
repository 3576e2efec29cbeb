"""An ONNX file -> a model that synthesises speech as those of torch do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from v2skit.errors import UserError, reason_of
from v2skit.models import checkpoint
from v2skit.registry.build import build
from v2skit.synthesis.exported.export import export_model
from v2skit.synthesis.exported.file import REMEDY, OnnxFile
from v2skit.synthesis.exported.networks import OnnxChain, OnnxModel, OnnxNetwork
from v2skit.synthesis.synthesiser import ONNX, Synthesiser
from v2skit.system.state_file import damaged


def load_onnx(path: Path, device: str = "auto", vocoder: Path | None = None) -> Synthesiser:
    """A model whose networks run in onnxruntime, on the CPU.

    Args:
        path: an ONNX file; or a pack, a V2A run or checkpoint, which is exported first.
        device: ``auto`` or ``cpu``.
        vocoder: as for :func:`v2skit.synthesis.exported.export.export_model`.

    Raises:
        UserError: it can't be read or exported, its vocoder can't be chosen, or the device is another one.
    """
    if device not in ("auto", "cpu"):
        raise UserError(f"the backend onnx runs on the CPU, not on {device}; leave --device out, or --backend onnx")
    if path.suffix != ONNX:
        return synthesiser_of(export_model(path, vocoder))
    if vocoder is not None:
        raise UserError(f"{path} has its vocoder in it; export the model with the other one (v2skit export --vocoder)")
    return synthesiser_of(OnnxFile.read(path))


def synthesiser_of(file: OnnxFile) -> Synthesiser:
    """The model of an ONNX file.

    Raises:
        UserError: the file is damaged, or needs a plug-in that is not installed.
    """
    header, path = file.header, file.path
    checkpoint.check_plugins(header.meta, path)
    config = checkpoint.config_of(header.meta)
    speaker = build("speaker", config.networks.speaker, speakers=header.meta.speakers)
    try:
        networks = {name: OnnxNetwork(graph, network) for name, network, graph in file.networks()}
        layers = [network for name, network in networks.items() if name.startswith("encoder.")]
        encoder = OnnxChain(layers) if layers else networks["encoder"]
        parts = networks["frontend"], speaker, networks.get("conditioner"), encoder, networks["decoder"]
    except UserError:
        raise
    except Exception as error:  # of onnxruntime, which has no type of its own for a graph that it refuses
        raise damaged(path, reason_of(error), REMEDY) from error
    voices = {name: np.array(vector, np.float32) for name, vector in header.voices.items()}
    model = OnnxModel(*parts).eval()
    vocoder, meta = networks.get("vocoder"), header.meta
    return Synthesiser(config, model, vocoder, voices, meta.digest, header.card, header.default_voice, meta.speakers)
