"""A V2A model and its vocoder -> one ONNX graph, by torch's exporter, one network after the other.

A component can be exported where torch can: its forward has no branches on the values of tensors. Each exported network
is compared with its module, on a clip of another length.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from v2skit.errors import UserError, reason_of
from v2skit.models.package import packable
from v2skit.models.places import open_model
from v2skit.synthesis.exported.file import OnnxFile
from v2skit.synthesis.exported.networks import OnnxNetwork
from v2skit.synthesis.exported.traced import Traced, traced_networks
from v2skit.synthesis.synthesiser import Synthesiser
from v2skit.system.extras import needs
from v2skit.system.quiet import quiet

if TYPE_CHECKING:  # of the extra onnx
    from onnx import GraphProto, ValueInfoProto

OPSET = 20
"""The first with the operator Gelu; ONNX 1.15 and onnxruntime 1.17 have it."""
FRAMES, OTHER_FRAMES = 40, 107
"""Lengths of the clip on which the networks are traced and of that on which they are compared, video frames."""
TOLERANCE = 1e-3
"""Largest deviation of an exported network, as a share of its largest output, or of 1 where that is smaller."""
CLIP = ("video", "voice")
"""Inputs of the graph: mouth crops (1,T,1,H,W), normalised, and the input of the speaker component (1,...)."""


class ExportError(UserError):
    """A network can't be exported; the field ``component`` is its kind and type."""


def export_model(path: Path, vocoder: Path | None = None) -> OnnxFile:
    """A model as an ONNX file in memory.

    Args:
        path: a pack, or a V2A run or checkpoint.
        vocoder: a trained vocoder's run, checkpoint or pack; None: the model's own.

    Raises:
        UserError: it can't be read, a component can't be exported or comes from a plug-in file, or the extra onnx is
            not installed.
    """
    model = Synthesiser.load(path, torch.device("cpu"), vocoder)
    _check_inputs(model)
    chain = list(traced_networks(model))
    for traced in chain:
        if obstacle := getattr(traced.part, "export_obstacle", None):
            raise _refused(traced, obstacle)
    with needs("onnx", "the export to ONNX"):
        import onnxruntime  # noqa: F401  the networks are compared in it
        import onnxscript  # noqa: F401  torch's exporter imports it later
        from onnx import helper
    saved = packable(open_model(path, "model", ""), path)
    values, others = (example_clip(model, frames) for frames in (FRAMES, OTHER_FRAMES))
    nodes, tensors, networks = [], [], {}
    for traced in chain:
        graph = network_graph(traced, values, others)
        nodes += graph.node
        tensors += graph.initializer
        networks[traced.name] = traced.network
    used = {name for network in networks.values() for name in network.inputs}
    graph = helper.make_graph(
        nodes,
        "video_to_speech",
        [_described(name, values[name]) for name in CLIP if name in used],
        [_described(traced.network.output, values[traced.network.output])],
        tensors,
        value_info=[_described(name, values[name]) for name in sorted(used.difference(CLIP))],
    )
    voices = {name: vector.tolist() for name, vector in model.packed_voices.items()}
    header = {"card": model.card, "meta": saved.meta, "voices": voices, "default_voice": model.packed_default}
    return OnnxFile.of(graph, OPSET, path, networks=networks, **header)


def _check_inputs(synthesiser: Synthesiser) -> None:
    """Raises ExportError where another model predicts inputs of a model: the graph is of one model."""
    predicted = synthesiser.model.predicted
    if predicted:
        component = f"frontend '{synthesiser.config.networks.visual_frontend.type}'"
        raise ExportError(
            f"{component} can't be exported to ONNX (another model predicts its input {predicted[0]}); export that "
            "model, the predictor of the config, or synthesise with this one in torch, from its run or pack",
            component=component,
        )


def network_graph(traced: Traced, values: dict[str, Tensor], others: dict[str, Tensor]) -> GraphProto:
    """A network as a graph, all other names of which begin with its own.

    Args:
        traced: the network.
        values: its inputs, by name; its output is added.
        others: its inputs for a clip of another length, likewise.

    Raises:
        ExportError: it can't be exported, or its output in onnxruntime is not that of torch.
    """
    traced.compute(values)  # before the trace: modules draw their noise in their first call
    graph = _graph(traced, values)
    traced.compute(others)
    _check(graph, traced, others)
    return graph


def example_clip(model: Synthesiser, frames: int) -> dict[str, Tensor]:
    """Inputs of the graph: noise, and a voice of the model. Raises UserError where it has none."""
    side, voices = model.config.augmentation.crop, model.voices
    voice = model.voice(voices[0] if voices and model.default_voice is None else None)
    generator = torch.Generator().manual_seed(frames)
    video = torch.randn(1, frames, 1, side, side, generator=generator)
    return {"video": video, "voice": torch.from_numpy(voice)[None]}


def _described(name: str, value: Tensor) -> ValueInfoProto:
    """Name, type and shape of a value, with a free number of steps, unless it is the voice."""
    from onnx import helper

    shape: list[Any] = list(value.shape)
    if name != "voice":
        shape[1] = f"{name}_steps"
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.numpy().dtype), shape)


def _graph(traced: Traced, values: dict[str, Tensor]) -> GraphProto:
    from onnx.compose import add_prefix_graph

    network, given = traced.network, [values[name] for name in traced.network.inputs]
    steps = [None if name == "voice" else {1: torch.export.Dim.DYNAMIC} for name in network.inputs]
    shapes = (steps[0], tuple(steps[1:])) if steps[1:] else (steps[0],)
    try:
        with torch.no_grad(), quiet():
            program = torch.onnx.export(
                traced,
                tuple(given),
                input_names=network.inputs,
                output_names=[network.output],
                dynamic_shapes=shapes,
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # of the exporter, or of the component under it
        raise _refused(traced, _cause(error)) from error
    if program is None or program.model_proto.functions:
        raise _refused(traced, "it has operators that ONNX does not define")
    graph = program.model_proto.graph
    for node in graph.node:  # where in whose files it was traced
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    graph.ClearField("value_info")
    used = {name for node in graph.node for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    graph.ClearField("initializer")
    graph.initializer.extend(tensors)
    return add_prefix_graph(graph, f"{traced.name}/", rename_inputs=False, rename_outputs=False)


def _check(graph: GraphProto, traced: Traced, values: dict[str, Tensor]) -> None:
    """Raises ExportError where the exported network's output is not that of its module."""
    from onnx import helper

    network = traced.network
    wanted = values[network.output]
    named = [_described(name, values[name]) for name in (*network.inputs, network.output)]
    alone = helper.make_graph(graph.node, traced.name, named[:-1], named[-1:], graph.initializer)
    model = helper.make_model(alone, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = helper.find_min_ir_version_for(model.opset_import)
    try:
        found = OnnxNetwork(model.SerializeToString(), network)(*(values[name] for name in network.inputs))
    except Exception as error:  # of onnxruntime
        raise _refused(traced, f"onnxruntime can't run it on clips of another length: {_cause(error)}") from error
    scale = max(1.0, float(wanted.abs().max()))
    if found.shape != wanted.shape or float((found - wanted).abs().max()) > TOLERANCE * scale:
        raise _refused(traced, "for a clip of another length onnxruntime's output is not torch's")


def _refused(traced: Traced, why: str) -> ExportError:
    return ExportError(
        f"{traced.component} can't be exported to ONNX ({why}); {traced.remedy}", component=traced.component
    )


def _cause(error: BaseException) -> str:
    """The beginning of the error that another one comes from, in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return reason_of(error)[:200]
