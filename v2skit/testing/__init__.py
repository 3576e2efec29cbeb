"""Contract checks for networks and losses, for the tests of a plug-in: each is called with a built module.

Each check makes small random clips of unequal length and asserts what the toolkit relies on: the shapes of outputs,
zeros where the mask is False, an output for a clip that does not depend on its batch and padding, batch statistics and
gradients without padding, and an error for an input of the wrong length. A network for streaming declares its receptive
field in two attributes, which are then checked: ``left_context_frames`` and ``look_ahead_frames``, the input steps
before and after a step on which the output for this step depends. Without them, or where both are None, the receptive
field is the whole clip.

    def test_my_encoder():
        check_encoder(MyEncoder(in_dim=24), in_dim=24)
"""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.models.model import Part
from v2skit.models.output import Output
from v2skit.testing.loggers import check_logger
from v2skit.testing.networks import CONTEXTS, check_close, check_network, check_receptive_field, padded, without_dropout

__all__ = [
    "check_audio_frontend",
    "check_decoder",
    "check_discriminator",
    "check_encoder",
    "check_head",
    "check_logger",
    "check_loss",
    "check_target",
    "check_tokenizer",
    "check_training_loss",
    "check_visual_frontend",
    "check_vocoder",
    "padded",
    "without_dropout",
]


def check_visual_frontend(module: Part) -> None:
    """Raises AssertionError where a visual frontend, (B, T, 1, H, W) -> (B, T, D), breaks its contract."""
    assert getattr(module, "input", None) == "video", "a visual frontend has the attribute input = 'video'"
    size = module.crop
    check_network(module, lambda clips, frames: torch.randn(clips, frames, 1, size, size), 1, (1, module.out_dim))


def check_audio_frontend(module: Part, clock: Clock, mel: Mel) -> None:
    """Raises AssertionError where an audio frontend, (B, F, M) or (B, N) -> (B, T, D), breaks its contract."""
    kind = getattr(module, "input", None)
    assert kind in ("mel", "waveform"), f"only inputs 'mel' and 'waveform' are checked, not {kind!r}"
    if kind == "mel":
        step = mel.per_frame(clock)
        check_network(module, lambda b, t: 2 * torch.randn(b, t * step, mel.n_mels) - 5, step, (1, module.out_dim))
    else:
        step = clock.samples_per_frame
        check_network(module, lambda b, t: 0.1 * torch.randn(b, t * step), step, (1, module.out_dim))


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
        for name in (*CONTEXTS, "period_frames"):
            if hasattr(decoder, name):
                setattr(self, name, getattr(decoder, name))

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


def check_training_loss(module: Part, in_dim: int, batch: Batch) -> None:
    """Raises AssertionError where the ``training_loss`` of a decoder breaks its contract.

    Args:
        module: the decoder.
        in_dim: E.
        batch: with the streams that it needs; clips of unequal length, so that some are padded.
    """
    clips, frames = batch.mask.shape
    torch.manual_seed(0)
    x = torch.randn(clips, frames, in_dim, requires_grad=True)
    module = copy.deepcopy(module).train()
    torch.manual_seed(1)
    values = module.training_loss(x, batch.mask, batch)
    assert values, "training_loss() returns no value"
    for name, value in values.items():
        assert value.ndim == 0 and value.isfinite(), f"{name} is no finite scalar"
    sum(values.values()).backward()
    unused = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert not unused, f"no gradient reaches {', '.join(unused)}"
    assert x.grad is not None and x.grad[batch.mask].abs().sum() > 0, "no gradient reaches the features"
    assert not x.grad[~batch.mask].any(), "gradients reach the padding of the features"
    torch.manual_seed(1)
    again = module.eval().training_loss(x, batch.mask, batch)
    assert again.keys() == values.keys(), "the values in validation are others than in training"


def check_head(module: Part, in_dim: int) -> None:
    """Raises AssertionError where a head, (B, T, in_dim) -> {stream: (B, T*k, ...)}, breaks its contract."""
    torch.manual_seed(0)
    module, x = module.eval(), torch.randn(2, 9, in_dim)
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
    sum(value.float().sum() for value in module.train()(x.requires_grad_(), mask).values()).backward()
    unused = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert not unused, f"no gradient reaches {', '.join(unused)}"


def check_target(target: Any, waveform: np.ndarray, frames: int, text: str | None) -> None:
    """Raises AssertionError where a stored target, fitted if it has to be, breaks its contract.

    Args:
        target: the component.
        waveform: (N,) float32.
        frames: video frames in it.
        text: its words.
    """
    values, again = (np.asarray(target.compute(waveform.copy(), text), target.dtype) for _ in range(2))
    np.testing.assert_array_equal(values, again, "two calls give different values")
    silence = np.asarray(target.compute(np.zeros_like(waveform), text), target.dtype)
    assert np.isfinite(silence).all(), "the values of silence hold NaN or infinity"
    if target.rate == "sequence":
        assert values.ndim == 1 and np.issubdtype(values.dtype, np.integer) and (values >= 0).all()
    else:
        assert len(values) and len(values) % frames == 0 and len(silence) == len(values), "not k values a video frame"


def check_tokenizer(make: Callable[[], Any], texts: Sequence[str]) -> None:
    """Raises AssertionError where a tokenizer, see :mod:`v2skit.text`, breaks its contract.

    Args:
        make: makes a tokenizer that is not fitted.
        texts: to fit it to; all have words.
    """
    tokenizer, again, copied = make(), make(), make()
    state = tokenizer.fit(iter(texts))
    assert json.loads(json.dumps(state)) == state, "the state is not plain: it changes when it is stored as JSON"
    assert again.fit(iter(texts)) == state, "the same texts give another state"
    copied.load_state(state)
    assert copied.size == tokenizer.size > 0, "size differs after load_state()"
    for text in texts:
        ids = tokenizer.encode(text)
        assert ids and all(0 <= number < tokenizer.size for number in ids), f"ids out of 0..size-1: {ids}"
        assert copied.encode(text) == ids, "encode() differs after load_state()"
        normal = tokenizer.normalise(text)
        assert tokenizer.decode(ids) == normal == copied.decode(ids), f"decode(encode({text!r})) is not {normal!r}"
    for empty in ("", " \t"):
        assert list(tokenizer.encode(empty)) == [] and tokenizer.normalise(empty) == "", "text without words has ids"


def check_vocoder(module: nn.Module, mel: Mel, make: Callable[[int, int], Tensor] | None = None) -> None:
    """Raises AssertionError where a vocoder, (B, F, M) -> (B, F * hop) or of another stream, breaks its contract.

    Args:
        module: the vocoder.
        mel: of the toolkit.
        make: (B, L) -> a random input (B, L, ...), where that is another stream than the mel.
    """
    draw = make or (lambda clips, frames: 2 * torch.randn(clips, frames, mel.n_mels) - 5)
    torch.manual_seed(0)
    module, stream = module.eval(), draw(2, 9)
    log = math.log if mel.log == "natural" else math.log10
    silence = stream[:, :5] if make else torch.full((1, 5, mel.n_mels), log(mel.floor))
    with torch.no_grad():
        waveform, again, single, silent = module(stream), module(stream), module(stream[1:]), module(silence)
    step = max(1, waveform.shape[1] // 9) if make else mel.hop
    assert waveform.shape == (2, 9 * step), f"output has shape {tuple(waveform.shape)}, not {(2, 9 * step)}"
    assert torch.equal(waveform, again), "two calls with the same input have different outputs"
    assert waveform.isfinite().all() and silent.isfinite().all(), "output holds NaN or infinity"
    assert (waveform[0] - waveform[1]).abs().max() > 0, "output does not depend on the input"
    check_close(waveform[1], single[0], "the output for a clip depends on its batch")
    check_receptive_field(module, module, draw, 1, step)


def check_discriminator(module: nn.Module, samples: int = 4800) -> None:
    """Raises AssertionError where a discriminator, (B, N) -> [(score, features)], breaks its contract."""
    torch.manual_seed(0)
    module, waveform = module.eval(), 0.1 * torch.randn(2, samples)
    waveform.requires_grad_()
    outputs = module(waveform)
    assert outputs and all(len(score) == 2 and features for score, features in outputs), (
        "a part lacks score or features"
    )
    for (score, features), (score_alone, features_alone) in zip(outputs, module(waveform[1:]), strict=True):
        for whole, part in zip((score, *features), (score_alone, *features_alone), strict=True):
            assert whole.isfinite().all(), "output holds NaN or infinity"
            check_close(whole[1], part[0], "a clip in a batch is scored otherwise than alone")
    (slope,) = torch.autograd.grad(sum(score[0].sum() for score, _ in outputs), waveform)
    assert slope[0].abs().sum() > 0, "the score does not depend on the waveform"
    assert slope[1].abs().sum() == 0, "the score of one clip depends on another"


def check_loss(module: nn.Module, output: Output, batch: Batch) -> None:
    """Raises AssertionError where a loss breaks its contract.

    Args:
        module: the loss.
        output: a model's possible output for the batch.
        batch: the targets that the loss compares it with.
    """
    given = output.each(lambda tensor: tensor.detach().clone().requires_grad_())
    if hasattr(module, "discriminator_backward"):
        _check_discriminator_step(module, output.detached(), batch)
    values = module(given, batch)
    for name, value in values.items():
        assert value.ndim == 0 and value.isfinite(), f"{name} is no finite scalar"
    if values:
        sum(values.values()).backward()
        reached = [value.grad for value in given.streams.values() if value.grad is not None]
        assert any(grad.abs().sum() > 0 for grad in reached), "no gradient reaches the output"


def _check_discriminator_step(module: Part, output: Output, batch: Batch) -> None:
    """``discriminator_backward`` adds to gradients and changes no weight; ``discriminator_update`` does, and clears."""
    assert hasattr(module, "discriminator_update"), "discriminator_backward() without discriminator_update()"
    start = {name: p.detach().clone() for name, p in module.named_parameters()}

    def accumulated() -> dict[str, Tensor]:
        torch.manual_seed(0)
        module.discriminator_backward(output, batch)
        changed = [name for name, p in module.named_parameters() if not torch.equal(p, start[name])]
        assert not changed, (
            f"discriminator_backward() changes {', '.join(changed)}; discriminator_update() is to do that"
        )
        return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}

    once, twice = accumulated(), accumulated()
    for name, gradient in once.items():
        check_close(
            twice[name], 2 * gradient, f"a second discriminator_backward() does not add to the gradient of {name}"
        )
    module.discriminator_update()
    cleared = all(p.grad is None or not p.grad.any() for p in module.parameters())
    assert cleared, "discriminator_update() leaves gradients behind"
