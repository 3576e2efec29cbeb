"""Networks of an ONNX file in onnxruntime, in place of the modules that they were exported from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from v2skit.models.layers.link import Link
from v2skit.models.model import Model
from v2skit.synthesis.exported.file import Network
from v2skit.system.extras import needs


class OnnxNetwork(nn.Module):
    """A network on one clip without padding, on the CPU, with as many threads as torch has.

    Args:
        graph: an ONNX model, serialised.
        network: its description.

    Attributes:
        input: name of its first input; of a frontend ``video``.
        output: name of its output; of a decoder that of the stream.
        per_frame: output steps per input step.

    Raises:
        UserError: onnxruntime is not installed.
    """

    def __init__(self, graph: bytes, network: Network) -> None:
        super().__init__()
        with needs("onnx", "the backend onnx"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3  # errors
        self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.names, self.input, self.output = network.inputs, network.inputs[0], network.output
        self.per_frame, self.period_frames = network.per_step, network.period_frames
        self.left_context_frames, self.look_ahead_frames = network.left_context_frames, network.look_ahead_frames

    def forward(self, *inputs: Tensor) -> Tensor:
        """Its inputs (1, L, ...), and perhaps a mask, which has no padding -> its output (1, L', ...)."""
        feeds = {name: value.numpy() for name, value in zip(self.names, inputs)}
        return torch.from_numpy(self._session.run(None, feeds)[0])


class OnnxChain(nn.Module):
    """The layers of an encoder with a limited receptive field: (1,T,D) -> (1,T,E). They are in series, each with its
    own context, for streaming."""

    def __init__(self, layers: list[OnnxNetwork]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        contexts = [(link.left_context, link.right_context) for link in self.links()]
        self.left_context_frames, self.look_ahead_frames = (sum(side) for side in zip(*contexts))

    def links(self) -> list[Link]:
        """The layers, with left and right context of each in frames."""
        layers: list[Any] = list(self.layers)
        return [Link(layer, layer.left_context_frames, layer.look_ahead_frames) for layer in layers]

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(1,T,D), a mask without padding -> (1,T,E)."""
        for layer in self.layers:
            x = layer(x, mask)
        return x


class OnnxModel(Model):
    """A V2A model whose networks run in onnxruntime.

    Args:
        frontend: mouth crops (1,T,1,H,W) -> (1,T,D).
        speaker: the component that makes its input of a voice; its embedding is computed by ``conditioner``.
        conditioner: features (1,T,D) and input of the speaker component -> (1,T,D+S); None: S is 0.
        encoder: (1,T,D+S) -> (1,T,E).
        decoder: (1,T,E), and where it has two inputs that of the speaker component, -> its stream.
    """

    def __init__(
        self,
        frontend: OnnxNetwork,
        speaker: nn.Module,
        conditioner: OnnxNetwork | None,
        encoder: Any,
        decoder: OnnxNetwork,
    ) -> None:
        super().__init__(frontend, speaker, encoder, decoder, decoder_speaker=len(decoder.names) > 1)
        self.conditioner = conditioner

    def condition(self, x: Tensor, speaker: Tensor) -> Tensor:
        """As :meth:`Model.condition`."""
        return x if self.conditioner is None else self.conditioner(x, speaker)

    def decode(self, x: Tensor, speaker: Tensor, mask: Tensor) -> Tensor:
        """As :meth:`Model.decode`."""
        return self.decoder(x, speaker, mask) if self.decoder_speaker else self.decoder(x, mask)
