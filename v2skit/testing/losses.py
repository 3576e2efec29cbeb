"""The contracts of losses, and of what they are computed with."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from v2skit.data.batch import PADDING, Batch
from v2skit.models.model import Part, stream_names
from v2skit.models.output import Output
from v2skit.testing.aspects import aspect
from v2skit.testing.networks import check_close, check_reached, redrawn

TOLERANCE, WAVEFORM_TOLERANCE = 1e-4, 0.05
"""Share of a loss by which it may change with the amount of padding; of waveforms, windows at the end of the longest
clip may be filled up with something else than zeros."""


def check_training_loss(module: Part, in_dim: int, batch: Batch) -> None:
    """Raises AssertionError where the ``training_loss`` of a decoder breaks its contract.

    Args:
        module: the decoder.
        in_dim: E.
        batch: with the streams that it needs; clips of unequal length, so that some are padded.
    """
    clips, frames = batch.mask.shape
    module = redrawn(module)
    torch.manual_seed(0)
    x = torch.randn(clips, frames, in_dim, requires_grad=True)
    trained = copy.deepcopy(module).train()
    values = _training_loss(trained, x, batch)
    streams = set(getattr(module, "training_outputs", ()))
    missing = ", ".join(sorted(streams - values.keys()))
    assert not missing, f"training_outputs names {missing}, which training_loss() does not return"
    assert values.keys() > streams, "training_loss() returns no value"
    for name, value in values.items():
        assert name in streams or (value.ndim == 0 and value.isfinite()), f"{name} is no finite scalar"
    for what, other in (("the same seed gives another value", batch), ("the padding changes it", refilled(batch))):
        again = _training_loss(copy.deepcopy(module).train(), x, other)
        for name, value in values.items():
            check_close(again[name], value, f"{name}: {what}")
    torch.stack([value.mean() for value in values.values()]).sum().backward()
    check_reached(trained)
    assert x.grad is not None and x.grad[batch.mask].abs().sum() > 0, "no gradient reaches the features"
    assert not x.grad[~batch.mask].any(), "gradients reach the padding of the features"
    valid = _training_loss(trained.eval(), x, batch)
    assert valid.keys() == values.keys(), "the values in validation are others than in training"


def _training_loss(module: Any, x: Tensor, batch: Batch) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return module.training_loss(x, batch.mask, batch)


def refilled(batch: Batch, fill: float = 100.0) -> Batch:
    """A batch with another value in the padding of its streams of floats.

    The waveform is as it was, zero: what is computed from it by short-time analysis depends on that.
    """
    return replace(_each(batch, lambda value: _filled(value, batch.mask, fill)), waveform=batch.waveform)


def _each(batch: Batch, function: Callable[[Tensor], Tensor]) -> Batch:
    """A batch with a function applied to each of its streams."""
    named: Any = {n: function(v) for n in ("waveform", "mel", "video") if (v := getattr(batch, n)) is not None}
    return replace(batch, **named, extras={name: function(value) for name, value in batch.extras.items()})


def _filled(value: Tensor, mask: Tensor, fill: float = 100.0) -> Tensor:
    """A stream (B,L,...) with another value in its padding; as it was where it is not of floats in whole frames."""
    frames = mask.shape[1]
    if not value.is_floating_point() or value.shape[1] % frames:
        return value
    valid = mask.repeat_interleave(value.shape[1] // frames, dim=1)
    return value.where(valid.view(*valid.shape, *[1] * (value.ndim - 2)), torch.full_like(value, fill))


def _longer(value: Tensor, frames: int) -> Tensor:
    """A stream (B,L,...) of a number of video frames with as many frames of padding more, zeros or of integers PADDING;
    as it was where it is not in whole frames."""
    if value.shape[1] % frames:
        return value
    integers = not value.is_floating_point() and value.dtype != torch.bool
    return torch.cat([value, torch.full_like(value, PADDING if integers else 0)], dim=1)


def check_extractor(module: nn.Module, samples: int = 9600) -> None:
    """Raises AssertionError where an extractor, waveform (B, N) -> [features (B, L, D)], breaks its contract."""
    digest = getattr(module, "digest", None)
    assert isinstance(digest, str) and digest, f"its attribute digest identifies the weights as text, not {digest!r}"
    torch.manual_seed(0)
    module, waveform = copy.deepcopy(module).eval().requires_grad_(False), 0.1 * torch.randn(2, samples)
    waveform.requires_grad_()
    layers, again, alone = module(waveform), module(waveform), module(waveform[1:])
    assert layers, "it gives no features"
    for first, second, single in zip(layers, again, alone, strict=True):
        assert first.ndim == 3 and len(first) == 2, f"features of shape {tuple(first.shape)}, not (B, L, D)"
        assert first.isfinite().all(), "features hold NaN or infinity"
        assert torch.equal(first, second), "two calls with the same input have different outputs"
        check_close(single[0], first[1], "the features of a clip depend on its batch")
    (slope,) = torch.autograd.grad(sum(layer[0].sum() for layer in layers), waveform)
    assert slope[0].abs().sum() > 0, "no gradient reaches the waveform"
    assert slope[1].abs().sum() == 0, "the features of one clip depend on another"


def check_loss(module: nn.Module, output: Output, batch: Batch) -> None:
    """Raises AssertionError where a loss breaks its contract.

    Args:
        module: the loss.
        output: a model's possible output for the batch.
        batch: the targets that the loss compares it with.
    """
    given = output.each(lambda tensor: tensor.detach().clone().requires_grad_())
    discriminates = hasattr(module, "discriminator_backward")
    if discriminates:
        _check_discriminator_step(module, output.detached(), batch)
    values = _values(module, given, batch)
    for name, value in values.items():
        assert value.ndim == 0 and value.isfinite(), f"{name} is no finite scalar"
    if not discriminates:
        with aspect("gradients"):
            idle = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
            assert not idle, f"nothing trains {', '.join(idle)}, since it has no discriminator_update()"
        with aspect("contract"):
            _check_without_state(module, output.detached(), batch, values)
    with aspect("padding"):
        _check_padding(module, output, batch, values)
        if not discriminates:  # discriminators are given all of a batch, whose clips are mostly equally long
            _check_more_padding(module, output.detached(), batch)
    with aspect("bfloat16"):
        _check_bfloat16(module, output, batch)
    if values:
        torch.stack(list(values.values())).sum().backward()
        reached = [value.grad for value in given.streams.values() if value.grad is not None]
        assert any(grad.abs().sum() > 0 for grad in reached), "no gradient reaches the output"


def _values(module: nn.Module, output: Output, batch: Batch, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return module(output, batch)


def _check_without_state(module: nn.Module, output: Output, batch: Batch, values: dict[str, Tensor]) -> None:
    """Raises AssertionError where a loss depends on earlier batches, so that training would not resume exactly."""
    other = _each(batch, lambda value: 0.5 * value if value.is_floating_point() else value)
    _values(module, output.each(lambda value: 3 * value), other)
    for name, value in _values(module, output, batch).items():
        check_close(value, values[name], f"{name}: a call with another batch in between changes it")


def _check_bfloat16(module: nn.Module, output: Output, batch: Batch) -> None:
    """Raises AssertionError where a loss of an output of bfloat16 fails or is not finite, or its gradient."""
    given = output.each(lambda value: value.detach().bfloat16().requires_grad_())
    values = _values(module, given, batch)
    for name, value in values.items():
        assert value.isfinite(), f"{name} of an output of bfloat16 is not finite"
    trained = [value for value in values.values() if value.requires_grad]
    if trained:
        torch.stack(trained).sum().backward()
    for name, stream in given.streams.items():
        assert stream.grad is None or stream.grad.isfinite().all(), f"the gradient by {name} in bfloat16 is not finite"


def _check_more_padding(module: nn.Module, output: Output, batch: Batch) -> None:
    """Raises AssertionError where more padding changes a loss. With random numbers it may: it draws others then."""
    read, frames = set(stream_names(getattr(module, "input", tuple(output.streams)))), batch.mask.shape[1]
    # The waveform of a model is zero beyond the mask, the other streams may be anything there.
    silent = {name: _filled(v, batch.mask, 0.0) if name == "waveform" else v for name, v in output.streams.items()}
    values, others = (_values(module, Output.of(silent, output.losses), batch, seed) for seed in (0, 1))
    if any(not torch.equal(others[name], value) for name, value in values.items()):
        return
    longer = _each(batch, lambda value: _longer(value, frames))
    longer = replace(longer, mask=torch.cat([batch.mask, torch.zeros_like(batch.mask)], dim=1))
    streams = {name: _longer(value, frames) for name, value in silent.items()}
    filled = {n: v if n == "waveform" else _filled(v, longer.mask) for n, v in streams.items()}
    tolerance = WAVEFORM_TOLERANCE if "waveform" in read else TOLERANCE
    for name, value in _values(module, Output.of(filled, output.losses), refilled(longer)).items():
        got, want = value.item(), values[name].item()
        assert math.isclose(got, want, rel_tol=tolerance, abs_tol=1e-6), (
            f"{name}: more padding changes it, from {want:.3g} to {got:.3g}"
        )


def _check_padding(module: nn.Module, output: Output, batch: Batch, values: dict[str, Tensor]) -> None:
    """Raises AssertionError where the padding changes a loss of streams other than the waveform."""
    streams = {name: value.detach() for name, value in output.streams.items()}
    read = set(stream_names(getattr(module, "input", tuple(streams)))) - {"waveform"}
    if read:
        filled = {name: _filled(value, batch.mask) if name in read else value for name, value in streams.items()}
        for name, value in _values(module, Output.of(filled, output.losses), refilled(batch)).items():
            check_close(value, values[name], f"{name}: the padding changes it")


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
    network: Any = module
    if hasattr(network, "represent") or hasattr(network, "discriminate"):
        for (score, _), (again, _) in zip(outputs, network.discriminate(network.represent(waveform)), strict=True):
            check_close(again, score, "discriminate(represent()) gives another score than the whole")
    (slope,) = torch.autograd.grad(sum(score[0].sum() for score, _ in outputs), waveform)
    assert slope[0].abs().sum() > 0, "the score does not depend on the waveform"
    assert slope[1].abs().sum() == 0, "the score of one clip depends on another"


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
    if once:  # none before training of the discriminators starts
        with aspect("gradients"):
            check_reached(module)
    for name, gradient in once.items():
        check_close(
            twice[name], 2 * gradient, f"a second discriminator_backward() does not add to the gradient of {name}"
        )
    module.discriminator_update()
    cleared = all(p.grad is None or not p.grad.any() for p in module.parameters())
    assert cleared, "discriminator_update() leaves gradients behind"
