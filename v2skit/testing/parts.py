"""The contracts of the parts of a model, and of vocoders."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.data.batch import PREDICTED
from v2skit.errors import UserError
from v2skit.models.model import Part
from v2skit.testing.aspects import aspect
from v2skit.testing.networks import (
    CONTEXTS,
    check_close,
    check_network,
    check_reached,
    check_receptive_field,
    redrawn,
)
from v2skit.testing.own_audio import check_own_audio

Draw = Callable[[int, int], Tensor]
"""(B, T) -> random values of a stream of floats, (B, T*k, ...)."""
PIXELS = 88
"""Side of mouth crops, for a frontend without the attribute ``crop``."""


def check_visual_frontend(
    module: Part, clock: Clock = Clock(), mel: Mel = Mel(), streams: Mapping[str, Draw] | None = None
) -> None:
    """Raises AssertionError where a visual frontend, (B, T, 1, H, W) -> (B, T, D), breaks its contract.

    Args:
        module: the frontend.
        clock: of the toolkit.
        mel: of the toolkit.
        streams: where it needs others than ``video``, ``mel`` and ``waveform``: their random values.
    """
    assert "video" in inputs_of(module), "a visual frontend has the attribute input = 'video', or a tuple with it"
    _check_frontend(module, clock, mel, streams or {})


def check_audio_frontend(module: Part, clock: Clock, mel: Mel, streams: Mapping[str, Draw] | None = None) -> None:
    """Raises AssertionError where an audio frontend, (B, F, M) or (B, N) -> (B, T, D), breaks its contract.

    Args:
        module: the frontend.
        clock: of the toolkit.
        mel: of the toolkit.
        streams: where it needs others than ``mel`` and ``waveform``: their random values.
    """
    names = inputs_of(module)
    assert names and "video" not in names, f"an audio frontend has the attribute input, streams but video, not {names}"
    _check_frontend(module, clock, mel, streams or {})


def inputs_of(module: Part) -> tuple[Any, ...]:
    """The names of the streams that a frontend is called with."""
    names = getattr(module, "input", ())
    return names if isinstance(names, tuple) else (names,)


def draws(module: Part, clock: Clock, mel: Mel) -> dict[str, Draw]:
    """Random values of the streams that every batch may have, or another model predicts."""
    size, samples = getattr(module, "crop", PIXELS), clock.samples_per_frame
    measured: dict[str, Draw] = {
        "video": lambda b, t: torch.randn(b, t, 1, size, size),
        "mel": lambda b, t: 2 * torch.randn(b, t * mel.per_frame(clock), mel.n_mels) - 5,
        "waveform": lambda b, t: 0.1 * torch.randn(b, t * samples),
    }
    return measured | {f"{PREDICTED}{name}": draw for name, draw in measured.items()}


def _check_frontend(module: Part, clock: Clock, mel: Mel, streams: Mapping[str, Draw]) -> None:
    known = {**draws(module, clock, mel), **streams}
    names = inputs_of(module)
    for name in names:
        assert name in known, f"its input '{name}' needs random values: give streams={{'{name}': (B, T) -> values}}"
    shapes = {name: known[name](1, 1).shape[1:] for name in names}
    if len(names) == 1:
        check_network(module, known[names[0]], shapes[names[0]][0], (1, module.out_dim))
        return
    _check_each_input(module, {name: known[name](1, 4) for name in names})

    def joined(clips: int, frames: int) -> Tensor:
        return torch.cat([known[name](clips, frames).reshape(clips, frames, -1) for name in names], dim=2)

    check_network(_Joined(module, shapes), joined, 1, (1, module.out_dim))


@torch.no_grad()
def _check_each_input(module: Part, values: dict[str, Tensor]) -> None:
    module, mask = copy.deepcopy(module).eval(), torch.ones(1, 4, dtype=torch.bool)
    output = module(*values.values(), mask)
    for name, value in values.items():
        others = {**values, name: value.flip(1)}
        assert not torch.equal(module(*others.values(), mask), output), f"output does not depend on the input '{name}'"


class _Joined(nn.Module):
    """A frontend of several streams as a network of one, in which their values of a video frame are joined."""

    def __init__(self, frontend: Part, shapes: Mapping[str, torch.Size]) -> None:
        super().__init__()
        self.frontend, self.shapes = frontend, list(shapes.values())
        _copy_context(frontend, self)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, values of a video frame) -> (B, T, D)."""
        parts = x.split([math.prod(shape) for shape in self.shapes], dim=2)
        streams = [part.reshape(len(x), x.shape[1] * shape[0], *shape[1:]) for part, shape in zip(parts, self.shapes)]
        return self.frontend(*streams, mask)


def _copy_context(part: nn.Module, wrapper: nn.Module) -> None:
    for name in (*CONTEXTS, "period_frames"):
        if hasattr(part, name):
            setattr(wrapper, name, getattr(part, name))


def check_encoder(module: Part, in_dim: int) -> None:
    """Raises AssertionError where an encoder, (B, T, in_dim) -> (B, T, E), breaks its contract."""
    check_network(module, lambda clips, frames: torch.randn(clips, frames, in_dim), 1, (1, module.out_dim))


def check_decoder(module: nn.Module, in_dim: int, clock: Clock, mel: Mel) -> None:
    """Raises AssertionError where a decoder, (B, T, in_dim) -> (B, F, M), (B, N) or another, breaks its contract.

    A decoder with a ``training_loss`` is checked in training by :func:`check_training_loss`, which needs a batch.
    """
    kind = getattr(module, "output", None)
    assert isinstance(kind, str) and kind, f"a decoder has the attribute output, the name of its stream, not {kind!r}"
    own = (getattr(module, "per_frame", 0),)
    shapes = {"mel": (mel.per_frame(clock), mel.n_mels), "waveform": (clock.samples_per_frame,)}
    trains = not hasattr(module, "training_loss")
    check_network(_MainStream(module), lambda b, t: torch.randn(b, t, in_dim), 1, shapes.get(kind, own), trains)


class _MainStream(nn.Module):
    """A decoder that gives the stream of its ``output`` alone; ``further`` has the latest others."""

    further: dict[str, Tensor]

    def __init__(self, decoder: Part) -> None:
        super().__init__()
        self.decoder = decoder
        _copy_context(decoder, self)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """(B, T, in_dim) -> its stream."""
        found = self.decoder(x, mask)
        self.further = dict(found) if isinstance(found, dict) else {}
        output = self.further.pop(self.decoder.output, found)
        declared = getattr(self.decoder, "further_outputs", ())
        assert sorted(self.further) == sorted(declared), (
            f"besides {self.decoder.output} it gives {list(self.further)}, not {declared}"
        )
        return output


def check_head(module: Part, in_dim: int) -> None:
    """Raises AssertionError where a head, (B, T, in_dim) -> {stream: (B, T*k, ...)}, breaks its contract."""
    torch.manual_seed(0)
    module, x = redrawn(copy.deepcopy(module)).eval(), torch.randn(2, 9, in_dim)
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 5:] = False
    first, other = module(x, mask), module(torch.where(mask[..., None], x, x + 100), mask)
    assert tuple(sorted(first)) == tuple(sorted(module.outputs)), f"it gives {sorted(first)}, not {module.outputs}"
    alone = module(x[1:, :5], mask[1:, :5])
    for name, value in first.items():
        assert value.isfinite().all() and value.shape[0] == 2 and value.shape[1] % 9 == 0, f"{name}: no (B, T*k, ...)"
        count = 5 * value.shape[1] // 9
        check_close(other[name][1, :count], value[1, :count], f"{name} depends on the padding")
        check_close(alone[name][0], value[1, :count], f"{name} of a clip depends on its batch")
    with aspect("gradients"):
        sum(value.float().sum() for value in module.train()(x.requires_grad_(), mask).values()).backward()
        check_reached(module)


def check_vocoder(module: nn.Module, mel: Mel, make: Callable[[int, int], Tensor] | None = None) -> None:
    """Raises AssertionError where a vocoder, (B, F, M) -> (B, F * hop) or of another stream, breaks its contract.

    Args:
        module: the vocoder.
        mel: of the toolkit.
        make: (B, L) -> a random input (B, L, ...), where that is another stream than the mel.
    """
    draw = make or (lambda clips, frames: 2 * torch.randn(clips, frames, mel.n_mels) - 5)
    torch.manual_seed(0)
    module, stream = redrawn(module).eval(), draw(2, 9)
    log = math.log if mel.log == "natural" else math.log10
    silence = stream[:, :5] if make else torch.full((1, 5, mel.n_mels), log(mel.floor))
    with torch.no_grad():
        waveform, again, single, silent = module(stream), module(stream), module(stream[1:]), module(silence)
    step = max(1, waveform.shape[1] // 9) if make else mel.hop
    with aspect("shape", ends=True):
        assert waveform.shape == (2, 9 * step), f"output has shape {tuple(waveform.shape)}, not {(2, 9 * step)}"
    with aspect("determinism"):
        assert torch.equal(waveform, again), "two calls with the same input have different outputs"
    with aspect("finite"):
        assert waveform.isfinite().all() and silent.isfinite().all(), "output holds NaN or infinity"
    assert (waveform[0] - waveform[1]).abs().max() > 0, "output does not depend on the input"
    check_close(waveform[1], single[0], "the output for a clip depends on its batch")
    with aspect("context"):
        check_receptive_field(module, module, draw, 1, step)
    # Where it has a digest, its weights are trained already.
    if not getattr(module, "digest", None) and any(p.requires_grad for p in module.parameters()):
        with aspect("gradients"):
            trained = copy.deepcopy(module).train()
            output = trained(stream)
            if output.requires_grad:
                output.square().sum().backward()
            check_reached(trained)


def check_speaker(module: Part, directory: Path, utterances: Sequence[tuple[str, str]]) -> None:
    """Raises AssertionError where a speaker component, input (B, ...) -> embedding (B, S), breaks its contract.

    Args:
        module: the component.
        directory: a data directory, that it may prepare. Where it has tables and audio, copies of it are prepared too,
            in the folder that it is in.
        utterances: of the directory, with their speakers: (id, speaker).
    """
    module = copy.deepcopy(module).eval()
    with aspect("contract"):
        check_own_audio(module, directory, utterances)
    for _ in range(2):  # stage 1 may be repeated
        module.prepare(directory)
    reader = module.reader(directory)
    again = pickle.loads(pickle.dumps(reader))  # data-loading processes have copies
    values = [np.asarray(reader(*utterance)) for utterance in utterances]
    for utterance, value in zip(utterances, values, strict=True):
        np.testing.assert_array_equal(again(*utterance), value, "a copy of the reader reads other values")
        assert value.shape == values[0].shape and value.dtype == values[0].dtype, "its inputs differ in shape or type"
    if hasattr(reader, "draw"):
        values += _drawn(reader, again, utterances, values[0])
    voices = [module.voice(name) for name in getattr(module, "voices", ())]
    with suppress(UserError):  # it may need a recording or a name
        voices.append(module.voice(None))
    for voice in voices:
        assert voice.shape == values[0].shape and voice.dtype == values[0].dtype, "voice() differs from the reader"
    inputs = torch.stack([torch.as_tensor(value) for value in (*values, *voices)])
    shape = (len(inputs), module.out_dim)
    for output in (module.train()(inputs), module.eval()(inputs)):
        assert output.shape == shape, f"output has shape {tuple(output.shape)}, not {shape}"
        assert output.isfinite().all(), "output holds NaN or infinity"
    if module.out_dim:
        check_close(module(inputs[-1:])[0], output[-1], "the embedding of a clip depends on its batch")
    if output.requires_grad:
        output.square().sum().backward()
    with aspect("gradients"):
        check_reached(module)


def _drawn(reader: Any, again: Any, utterances: Sequence[tuple[str, str]], like: np.ndarray) -> list[np.ndarray]:
    """Training inputs of a reader. Raises AssertionError where they are no function of utterance and generator."""
    values = []
    for number, utterance in enumerate(utterances):
        first, second = (each.draw(*utterance, np.random.default_rng(number)) for each in (reader, again))
        np.testing.assert_array_equal(second, first, "draw() has random numbers that are not those of its generator")
        assert first.shape == like.shape and first.dtype == like.dtype, "draw() differs from the reader"
        values.append(first)
    return values
