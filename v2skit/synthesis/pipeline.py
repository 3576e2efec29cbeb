"""Mouth crops -> waveform: the networks of a V2A model and its vocoder, on windows of a video of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from v2skit.config.schema import Config
from v2skit.data.augment import centre_crop, normalise
from v2skit.data.batch import Inputs
from v2skit.errors import UserError
from v2skit.models.finite import finite_speech
from v2skit.models.layers.link import Link
from v2skit.models.model import Model
from v2skit.synthesis.gate import Gate
from v2skit.synthesis.overlap import Cascade, WindowedFunction
from v2skit.tracking.crop import MouthCrop

FEW_FRAMES, MANY_FRAMES = 100, 500
"""Frames that are computed together: few by the frontend and the vocoder, which need much memory per frame and are
fastest while it fits into the cache; many by the encoder and the decoder."""

CATCH_UP_FRAMES = 10
"""Frames of live video that are computed together at most where they came faster than they were computed: 0.4 s."""

CONTEXT_FRAMES, CROSSFADE_FRAMES = 100, 10
"""Left and right context of a window where the receptive field of a network is the whole clip, and the frames over
which two such windows are crossfaded."""


def networks_of(model: Model, vocoder: nn.Module | None) -> dict[str, nn.Module]:
    """The networks from crops to waveform, by name."""
    networks = {name: getattr(model, name) for name in ("frontend", "encoder", "decoder")}
    return {**networks, "vocoder": vocoder} if vocoder else networks


def receptive_field(network: nn.Module) -> tuple[int, int] | None:
    """Left and right context of a network in its input steps; None: the whole clip."""
    left, right = getattr(network, "left_context_frames", None), getattr(network, "look_ahead_frames", None)
    return None if left is None or right is None else (left, right)


def check_streaming(config: Config, networks: dict[str, nn.Module]) -> None:
    """Raises UserError, with the names, where a network or the mouth crop has an unlimited look-ahead."""
    unlimited = [f"{name} {type(part).__name__}" for name, part in networks.items() if receptive_field(part) is None]
    if config.crop.look_ahead_frames is None:
        unlimited.append("crop")
    if unlimited:
        raise UserError(
            f"this model can't synthesise live video: {', '.join(unlimited)} must see the whole clip; train one with "
            "look_ahead_frames, as conf/streaming.yaml does"
        )


class Pipeline:
    """The synthesis of one clip. Each network runs as soon as its receptive field allows; one whose receptive field is
    the whole clip runs on windows of 20 s with 4 s of context on either side.

    Args:
        config: of the model.
        model: V2A, in evaluation mode.
        vocoder: mel -> waveform; None where the decoder's output is a waveform.
        speaker: the input of the speaker component.
        chunk: frames that are computed together, for live video; None: as many as are fast.

    Raises:
        UserError: with a ``chunk``, as :func:`check_streaming`.
    """

    def __init__(
        self, config: Config, model: Model, vocoder: nn.Module | None, speaker: np.ndarray, chunk: int | None = None
    ) -> None:
        if chunk is not None:
            check_streaming(config, networks_of(model, vocoder))
        self.samples_per_frame = config.clock.samples_per_frame
        self.side, self.device = config.augmentation.crop, model.device
        speaker_input = torch.from_numpy(speaker)[None].to(self.device)
        mels = config.mel.per_frame(config.clock)
        rates: dict[str, int] = {"mel": mels, "waveform": self.samples_per_frame}
        rate = rates.get(model.output) or model.decoder.per_frame
        stages = [*frontend_stages(model, speaker_input, chunk), *encoder_stages(model, speaker_input)]
        stages += decoder_stages(model, speaker_input, rate, live=chunk is not None)
        if vocoder:
            few = 1 if chunk else FEW_FRAMES
            samples = self.samples_per_frame // rate  # of each value of the decoder's stream
            stages.append(windowed(vocoder, lambda x: vocoder(as_input(x[None]))[0], samples, rate, few))
        self._cascade = Cascade(stages)

    @property
    def right_context_frames(self) -> int:
        """Later video frames that the waveform of a frame depends on."""
        return self._cascade.right_context

    def run(self, crops: Iterable[MouthCrop], waiting: Callable[[], bool] = lambda: False) -> Iterator[np.ndarray]:
        """Mouth crops -> waveforms, float32 (N,), whole frames of them as soon as they are final; muted where there is
        no face.

        Args:
            crops: of the video, in order.
            waiting: whether further frames are there already. Up to CATCH_UP_FRAMES are then computed together, which
                takes less time a frame: a machine that is a little too slow does not fall ever further behind.
        """
        gate = Gate(self.samples_per_frame)
        for together in _together(crops, waiting):
            for crop in together:
                gate.push(crop.box.silent)
            waveform = self.push(np.stack([crop.picture for crop in together]))
            if len(waveform):
                yield gate.apply(waveform)
        rest = self.finish()
        if len(rest):
            yield gate.apply(rest)

    @torch.no_grad()
    def push(self, crops: np.ndarray) -> np.ndarray:
        """The next crops, uint8 (n,H,W) -> the waveform that is now final, float32 (N,), whole frames of it."""
        waveforms = []
        for start in range(0, len(crops), FEW_FRAMES):
            video = normalise(centre_crop(crops[start : start + FEW_FRAMES], self.side))
            waveforms.append(self._cascade.push(torch.from_numpy(video).to(self.device)))
        return _to_numpy(waveforms)

    @torch.no_grad()
    def finish(self) -> np.ndarray:
        """The end of the clip -> the rest of the waveform, float32 (N,)."""
        return _to_numpy([self._cascade.finish()])


def _together(crops: Iterable[MouthCrop], waiting: Callable[[], bool]) -> Iterator[list[MouthCrop]]:
    """Each crop with those that wait after it; also those before an error or Ctrl-C, whose speech is kept."""
    group: list[MouthCrop] = []
    try:
        for crop in crops:
            group.append(crop)
            if len(group) == CATCH_UP_FRAMES or not waiting():
                yield group
                group = []
    except (Exception, KeyboardInterrupt, SystemExit):
        if group:
            yield group
        raise
    if group:
        yield group


def frontend_stages(model: Model, speaker: Tensor, chunk: int | None = None) -> list[WindowedFunction]:
    """Mouth crops (T,1,H,W) -> features of the frontend (T,D), for the input (1,...) of the speaker component, which a
    predictor needs; ``chunk`` as for :class:`Pipeline`: layer by layer where the frontend has ``links``."""
    if chunk and model.predictor is None and has_links(model.frontend):
        return linked(model.frontend.links(), chunk)

    def features(video: Tensor, mask: Tensor) -> Tensor:
        return model.features(Inputs({"video": video}, mask, speaker))

    return [windowed(model.frontend, masked(features), 1, min_frames=chunk or FEW_FRAMES)]


def encoder_stages(model: Model, speaker: Tensor) -> list[WindowedFunction]:
    """Features of the frontend (T,D) -> features of the encoder (T,E), for the input (1,...) of the speaker
    component."""
    if receptive_field(model.encoder) and has_links(model.encoder):
        return linked([Link(lambda x, mask: model.condition(x, speaker)), *model.encoder.links()])
    return [windowed(model.encoder, masked(lambda x, mask: model.encode(x, speaker, mask)), 1)]


def decoder_stages(model: Model, speaker: Tensor, rate: int, live: bool) -> list[WindowedFunction]:
    """Features of the encoder (T,E) -> stream of the decoder (T * rate, ...), for the input (1,...) of the speaker
    component; ``live``: layer by layer where the decoder has ``links``, so that few frames cost little."""
    if live and has_links(model.decoder):
        links = model.decoder.links()
        after = sum(link.right_context for link in links[1:])  # of steps that the first one outputs
        whole = Link(lambda x, mask: x, right_context=-after % rate)  # so that whole video frames come out
        return linked([Link(lambda x, mask: model.decoder_input(x, speaker)), *links, whole])
    return [windowed(model.decoder, masked(lambda x, mask: model.decode(x, speaker, mask)), rate)]


def linked(links: Sequence[Link], min_steps: int = 1) -> list[WindowedFunction]:
    """The layers of a network, one after the other, the first one for at least ``min_steps`` new steps."""
    return [
        WindowedFunction(
            masked(link.function), link.rate, link.left_context, link.right_context, 1 if number else min_steps,
            align=link.align,
        )
        for number, link in enumerate(links)
    ]  # fmt: skip


def has_links(network: nn.Module) -> bool:
    """Whether a network has ``links`` that are those of its ``forward``: a subclass may override the latter alone."""
    for base in type(network).__mro__:
        if "links" in vars(base) or "forward" in vars(base):
            return "links" in vars(base)
    return False


def masked(network: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A network on (1, L, ...) and a mask (1, L), as a function of (L, ...)."""
    return lambda x: network(x[None], torch.ones(1, len(x), dtype=torch.bool, device=x.device))[0]


def windowed(
    network: nn.Module, function: Callable[[Tensor], Tensor], rate: int, steps: int = 1, min_frames: int = 1
) -> WindowedFunction:
    """A network on windows.

    Args:
        network: with its receptive field.
        function: that calls it, (L, ...) -> (L * rate, ...).
        rate: output steps per input step.
        steps: input steps per video frame.
        min_frames: video frames that are computed together.
    """
    context, align = receptive_field(network), getattr(network, "period_frames", 1)
    if context is None:
        around = CONTEXT_FRAMES * steps
        return WindowedFunction(function, rate, around, around, MANY_FRAMES * steps, CROSSFADE_FRAMES * steps, align)
    left, right = context
    right = -(-right // steps) * steps  # the output is whole video frames
    max_steps = None if min_frames == 1 else min_frames * steps
    return WindowedFunction(function, rate, left, right, min_frames * steps, align=align, max_steps=max_steps)


def as_input(stream: Tensor) -> Tensor:
    """A stream as a vocoder's input: floats in full precision, integers as they are."""
    return stream.float() if stream.is_floating_point() else stream


def _to_numpy(waveforms: list[Tensor | None]) -> np.ndarray:
    final = [finite_speech(waveform) for waveform in waveforms if waveform is not None]
    return np.concatenate(final) if final else np.zeros(0, np.float32)
