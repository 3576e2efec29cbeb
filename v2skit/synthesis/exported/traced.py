"""The networks of a model as they are exported: functions of one clip without padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from v2skit.models.layers.link import Link
from v2skit.synthesis.exported.file import Network
from v2skit.synthesis.pipeline import as_input, has_links, receptive_field
from v2skit.synthesis.synthesiser import Synthesiser

ANOTHER = "train a model with another one; docs/contracts.md says what an export needs"
TRAINED = (
    "give a trained one with --vocoder RUN that needs no mel correction, since it was fine-tuned on predicted mels: "
    "stage 4 of conf/vocoder_istft.yaml with predictor"
)


class Traced(nn.Module):
    """A network to be exported.

    Args:
        name: in the file.
        component: kind and type, for messages.
        part: module with the weights, and the receptive field unless ``context`` is given.
        function: that calls it: its inputs and a mask (1,L) -> output.
        inputs: names of the inputs.
        output: name of the output.
        remedy: where it can't be exported.
        context: left and right context in input steps.
    """

    def __init__(
        self,
        name: str,
        component: str,
        part: nn.Module,
        function: Callable[..., Tensor],
        inputs: list[str],
        output: str,
        remedy: str = ANOTHER,
        context: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        left, right = context or receptive_field(part) or (None, None)
        self.name, self.component, self.remedy = name, component, remedy
        self.network = Network(inputs, output, left, right, getattr(part, "period_frames", 1))
        self.part, self.function = part, function

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """Inputs of one clip, the first (1, L, ...) -> output (1, L', ...)."""
        return self.function(x, *more, torch.ones(x.shape[:2], dtype=torch.bool))

    @torch.no_grad()
    def compute(self, values: dict[str, Tensor]) -> None:
        """Add the output for the inputs in ``values`` to them."""
        given = [values[name] for name in self.network.inputs]
        values[self.network.output] = output = self(*given)
        self.network = replace(self.network, per_step=output.shape[1] // given[0].shape[1])


def traced_networks(synthesiser: Synthesiser) -> Iterator[Traced]:
    """The networks from mouth crops to the waveform, as :class:`v2skit.synthesis.pipeline.Pipeline` calls them."""
    model, choices = synthesiser.model, synthesiser.config.networks
    frontend = f"frontend '{choices.visual_frontend.type}'"
    yield Traced("frontend", frontend, model.frontend, model.frontend, ["video"], "features")
    x = "features"
    if model.speaker.out_dim:
        component = f"speaker '{choices.speaker.type}'"
        yield Traced(
            "conditioner", component, model.speaker, lambda x, voice, mask: model.condition(x, voice), [x, "voice"],
            "conditioned",
        )  # fmt: skip
        x = "conditioned"
    component = f"encoder '{choices.encoder.type}'"
    if receptive_field(model.encoder) and has_links(model.encoder):
        links: list[Link] = model.encoder.links()
        for number, link in enumerate(links, 1):
            output = "encoded" if number == len(links) else f"encoded.{number}"
            context = link.left_context, link.right_context
            yield Traced(f"encoder.{number}", component, model.encoder, link.function, [x], output, context=context)
            x = output
    else:
        yield Traced("encoder", component, model.encoder, model.encoder, [x], "encoded")
    stream, component = model.output, f"decoder '{choices.decoder.type}'"
    if model.decoder_speaker:
        yield Traced("decoder", component, model.decoder, model.decode, ["encoded", "voice"], stream)
    else:
        speaker = torch.zeros(1)  # has no effect
        yield Traced(
            "decoder", component, model.decoder, lambda x, mask: model.decode(x, speaker, mask), ["encoded"], stream
        )
    vocoder = synthesiser.vocoder
    if vocoder is not None:
        component = f"vocoder '{synthesiser.config.vocoder.type}'"
        yield Traced("vocoder", component, vocoder, lambda x, mask: vocoder(as_input(x)), [stream], "waveform", TRAINED)
