"""The ONNX file of a model: one graph from mouth crops to the waveform, and a description of the model in its metadata.

Any runtime can run the whole graph. Its values between the networks have names, at which :class:`OnnxFile` divides it
again: v2skit runs each network on windows of a long video, as with torch.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from v2skit.config.check import check
from v2skit.errors import UserError, reason_of
from v2skit.models.checkpoint import Meta, weights_digest
from v2skit.models.pack_header import Card, check_runs_no_code, newer_file, printable_lines
from v2skit.models.package import described_signals
from v2skit.system.atomic import atomic_write
from v2skit.system.extras import needs
from v2skit.system.provenance import Provenance
from v2skit.system.state_file import check_permission, damaged, parse_state
from v2skit.version import __version__

if TYPE_CHECKING:  # of the extra onnx
    from onnx import GraphProto, ModelProto


KEY, FORMAT = "v2skit", 1
REMEDY = "fetch it or export it again (v2skit export MODEL --out FILE.onnx)"
STANDARD = ("", "ai.onnx")
"""The domain of the operators that ONNX defines, by its two names."""
NEVER_EXPORTED = ("FunctionProto", "SparseTensorProto", "TrainingInfoProto")
"""Parts of ONNX models that no exported model has; they may hold operators and tensors of their own."""


@dataclass(frozen=True)
class Network:
    """A network, a part of the graph.

    Args:
        inputs: names of its input values.
        output: name of its output value.
        left_context_frames: left context in its input steps; None: the whole clip.
        look_ahead_frames: right context, likewise.
        period_frames: windows start at multiples of so many input steps.
        per_step: output steps per input step.
    """

    inputs: list[str]
    output: str
    left_context_frames: int | None = None
    look_ahead_frames: int | None = None
    period_frames: int = 1
    per_step: int = 1


@dataclass(frozen=True)
class Header:
    """The description of a model, JSON in the metadata of its file.

    Args:
        format: a file of a later format can't be read.
        v2skit: the version that exported it.
        card: for people.
        meta: of the V2A model.
        digest: of the tensors in the file.
        networks: from mouth crops to the waveform, by name, in the order of the graph.
        voices: inputs of the speaker component, by the name of the voice.
        default_voice: the one of these that is used where none is named.
    """

    format: int
    v2skit: str
    card: Card
    meta: Meta
    digest: str
    networks: dict[str, Network]
    voices: dict[str, list[float]] = field(default_factory=dict)
    default_voice: str | None = None

    def __post_init__(self) -> None:
        parts = {name.partition(".")[0] for name in self.networks}
        missing = [name for name in ("frontend", "encoder", "decoder") if name not in parts]
        if missing:
            raise UserError(f"it has no network '{missing[0]}'")


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file of v2skit in memory.

    Args:
        header: its description.
        model: its graph.
        path: where it comes from, for messages.
    """

    header: Header
    model: ModelProto
    path: Path

    @classmethod
    def read(cls, path: Path) -> OnnxFile:
        """From a file.

        Raises:
            UserError: it can't be read, is damaged, of another program or of a later format; needs anything but the
                operators of ONNX and its own bytes; or the extra onnx is not installed.
        """
        with needs("onnx", str(path)):
            import onnx
            from google.protobuf.message import DecodeError
        check_permission(path)
        try:
            model = onnx.load_model_from_string(path.read_bytes())
            text = next((prop.value for prop in model.metadata_props if prop.key == KEY), None)
        except (OSError, DecodeError) as error:
            raise UserError(
                f"{path} is no ONNX file, or is damaged ({reason_of(error)}); {REMEDY}", path=path
            ) from error
        if text is None:
            raise UserError(
                f"{path} has no description of a v2skit model: another program wrote it, or its end is missing; "
                f"{REMEDY}",
                path=path,
            )
        header = _checked(text, path)
        if not _is_self_contained(model):
            raise damaged(path, "it needs custom operators or further files, which v2skit never runs or reads", REMEDY)
        try:
            digest = tensors_digest(model.graph)
        except Exception as error:  # of a damaged tensor, onnx raises errors of many types
            raise damaged(path, f"a tensor can't be read: {reason_of(error)}", REMEDY) from error
        if digest != header.digest:
            raise damaged(path, "its tensors are not those that were exported", REMEDY)
        return cls(header, model, path)

    @classmethod
    def of(cls, graph: GraphProto, opset: int, path: Path, **header: Any) -> OnnxFile:
        """From a graph and the fields of its header that the graph does not tell."""
        from onnx import helper

        digest = tensors_digest(graph)
        described = Header(format=FORMAT, v2skit=__version__, digest=digest, **header)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="v2skit")
        model.ir_version = helper.find_min_ir_version_for(model.opset_import)
        helper.set_model_props(model, {KEY: json.dumps(dataclasses.asdict(described))})
        return cls(described, model, path)

    def write(self, path: Path) -> None:
        """To a file, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            part.write_bytes(self.model.SerializeToString())

    def describe(self) -> str:
        """A description, for people."""
        header, config = self.header, Provenance(self.header.meta.config).values
        size = f"{self.model.ByteSize() / 1e6:.1f} MB"
        lines = [
            f"{header.card.name or self.path.stem}: video-to-speech, exported by v2skit {header.v2skit}, {size}",
            "",
        ]
        lines += [*header.card.lines(), "", f"model:     {header.meta.step} steps, digest {header.meta.digest}"]
        lines.append(f"networks:  {', '.join(header.networks)}")
        lines.append(described_signals(config))
        if header.voices:
            lines.append(f"voices:    {', '.join(header.voices)}; default: {header.default_voice or 'none'}")
        return printable_lines("\n".join(lines))

    def networks(self) -> Iterator[tuple[str, Network, bytes]]:
        """Each network: name, description and its part of the graph as an ONNX model of its own. Raises UserError."""
        from onnx.utils import Extractor

        extractor = Extractor(self.model)
        for name, network in self.header.networks.items():
            try:
                part = extractor.extract_model(network.inputs, [network.output])
            except ValueError as error:
                raise damaged(self.path, error, REMEDY) from error
            yield name, network, part.SerializeToString()


def tensors_digest(graph: GraphProto) -> str:
    """Identifies the weights and constants of a graph."""
    from onnx.numpy_helper import to_array

    return weights_digest({tensor.name: torch.from_numpy(to_array(tensor).copy()) for tensor in graph.initializer})


def _checked(text: str, path: Path) -> Header:
    tree = parse_state(text, path, REMEDY)
    if isinstance(tree.get("format"), int) and tree["format"] > FORMAT:
        raise newer_file(path, "exported", tree)
    try:
        header = check(tree, Header, "its description")
    except UserError as error:
        raise damaged(path, error, REMEDY) from error
    check_runs_no_code(path, header.meta.config)
    return header


def _is_self_contained(model: ModelProto) -> bool:
    """Whether a model consists of operators that ONNX defines and tensors in its own file."""
    for message in _messages(model):
        kind = message.DESCRIPTOR.name
        if kind in NEVER_EXPORTED or (kind == "NodeProto" and message.domain not in STANDARD):
            return False
        if kind == "TensorProto" and (message.data_location or message.external_data):
            return False
    return True


def _messages(message: Any) -> Iterator[Any]:
    """A message of protobuf and all messages in its fields, at any depth."""
    yield message
    for field_, value in message.ListFields():
        if field_.message_type is not None:
            for inner in [value] if hasattr(value, "DESCRIPTOR") else value:
                yield from _messages(inner)
