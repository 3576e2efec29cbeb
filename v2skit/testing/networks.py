"""The checks that all networks share: (B, T * step, ...), mask (B, T) -> (B, T * rate, ...)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from v2skit.errors import UserError
from v2skit.testing.aspects import aspect

LENGTHS = (7, 4, 2)
TOLERANCE = 1e-5
STREAMING_TOLERANCE = 1e-4
CONTEXTS = ("left_context_frames", "look_ahead_frames")
SMALL = 1e-2
"""Largest absolute value of a parameter that :func:`redrawn` replaces."""
LONGEST_CONTEXT = 400
"""Input steps; a longer left or right context is checked for this many."""


def check_network(
    module: nn.Module, make: Callable[[int, int], Tensor], step: int, out: tuple[int, ...], trains: bool = True
) -> None:
    """All checks of a network, ``(B, T * step, ...), mask (B, T) -> (B, T * out[0], *out[1:])``.

    Most are of the module with the parameters of :func:`redrawn`, so that they hold after training too.

    Args:
        module: the network.
        make: (B, T) -> a random input (B, T * step, ...).
        step: entries of the input's dim 1 a video frame.
        out: entries of the output's dim 1 a video frame, then the output's further dims.
        trains: its output is what losses are computed from.
    """
    module = without_dropout(module)
    torch.manual_seed(0)
    clips = [make(1, frames) for frames in LENGTHS]
    batch, mask = padded(clips, max(LENGTHS) + 1, step)
    shape = (len(clips), mask.shape[1] * out[0], *out[1:])
    with aspect("shape", ends=True), torch.no_grad():
        initial = module.eval()(batch, mask)
        module = redrawn(module)
        _warm_up(module, clips, step)
        module.eval()
        output = module(batch, mask)
        assert output.shape == shape, f"output has shape {tuple(output.shape)}, not {shape}"
    with aspect("determinism"), torch.no_grad():
        assert torch.equal(output, module(batch, mask)), (
            "eval mode: two calls with the same input have different outputs"
        )
    with aspect("finite"):
        assert initial.isfinite().all() and output.isfinite().all(), "output holds NaN or infinity"
    with aspect("padding"), torch.no_grad():
        out_mask = mask.repeat_interleave(out[0], dim=1)
        assert (output[~out_mask] == 0).all(), "output is not zero where the mask is False"
        for row, (clip, frames) in enumerate(zip(clips, LENGTHS)):
            want = module(clip, torch.ones(1, frames, dtype=torch.bool))[0]
            what = "eval mode: the output for a clip depends on its batch or padding"
            check_close(output[row, : frames * out[0]], want, what)
    with aspect("contract"):
        assert output[0].float().std() > 0, "output does not depend on the input"
    with aspect("context"):
        check_receptive_field(
            module, lambda x: module(x, torch.ones(1, x.shape[1] // step, dtype=torch.bool)), make, step, out[0]
        )
    if trains:
        _check_training(module, clips, step, out[0])
    with aspect("length"):
        _check_wrong_length(module, make, step)


def check_receptive_field(
    module: nn.Module, run: Callable[[Tensor], Tensor], make: Callable[[int, int], Tensor], step: int, out_step: int
) -> None:
    """The output for a part of a clip, computed with the declared left and right context, is that of the whole clip."""
    left: Any
    right: Any
    left, right = (getattr(module, name, None) for name in CONTEXTS)
    if left is None and right is None:
        return
    for name, context in zip(CONTEXTS, (left, right), strict=True):
        known = isinstance(context, int) and context >= 0
        assert known, f"{name} is {context!r}; it must be a number of frames, or both None"
    start = min(left, LONGEST_CONTEXT) + 1
    frames = start + min(right, LONGEST_CONTEXT) + 5
    clip = make(1, frames)
    period = getattr(module, "period_frames", 1)

    def differs(first: int, last: int, begin: int, end: int) -> bool:
        part = run(clip[:, begin * step : end * step])[:, (first - begin) * out_step : (last - begin) * out_step]
        want = whole[:, first * out_step : last * out_step]
        return bool((part - want).abs().max() > STREAMING_TOLERANCE * whole.abs().max())

    with torch.no_grad():
        whole = run(clip)
        for first, last in ((0, 3), (start, start + 1), (start, start + 3), (frames - 3, frames)):
            begin, end = max(0, first - left) // period * period, min(frames, last + right)
            assert not differs(first, last, 0, end), (
                f"look_ahead_frames is {right}, but the output changes with a later frame"
            )
            assert not differs(first, last, begin, frames), (
                f"left_context_frames is {left}, but the output changes with an earlier frame"
            )
            assert not differs(first, last, begin, end), (
                "the output for a part of a clip, with its context, differs from that for the whole clip"
            )


def _check_training(module: nn.Module, clips: list[Tensor], step: int, out_step: int) -> None:
    frames = max(LENGTHS)
    results = []
    for length in (frames, frames + 5):
        trained = copy.deepcopy(module).train()
        batch, mask = padded(clips, length, step)
        batch.requires_grad_()
        torch.manual_seed(0)
        output = trained(batch, mask)
        streams: list[Tensor] = [output, *getattr(trained, "further", {}).values()]
        torch.stack([stream.square().sum() for stream in streams]).sum().backward()
        with aspect("gradients"):
            check_reached(trained)
            assert batch.grad is not None and batch.grad.any(), "no gradient reaches the input"
        with aspect("padding"):
            leak = 0 if batch.grad is None else batch.grad[~mask.repeat_interleave(step, dim=1)].abs().sum()
            assert leak == 0, "gradients reach the padding of the input"
        with aspect("finite"):
            assert batch.grad is None or batch.grad.isfinite().all(), "the input's gradient holds NaN or infinity"
        results.append((output[:, : frames * out_step], dict(trained.named_buffers())))
    (output, buffers), (longer_output, longer_buffers) = results
    with aspect("padding"):
        check_close(longer_output, output, "train mode: more padding changes the output", 10 * TOLERANCE)
        for name, value in buffers.items():
            check_close(longer_buffers[name], value, f"train mode: padding enters the running statistic {name}")


def check_reached(module: nn.Module) -> None:
    """Raises AssertionError where a parameter that is trained has no gradient after a backward pass."""
    unused = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert not unused, f"no gradient reaches {', '.join(unused)}"


def _check_wrong_length(module: nn.Module, make: Callable[[int, int], Tensor], step: int) -> None:
    batch = make(1, 4)
    for frames in (3, 5):
        try:
            module(batch, torch.ones(1, frames, dtype=torch.bool))
        except (UserError, RuntimeError, ValueError):
            continue
        raise AssertionError(f"an input of {4 * step} entries with a mask of {frames} frames raises no error")


def without_dropout(module: nn.Module) -> nn.Module:
    """A copy of the module in which every dropout layer, and every float attribute ``dropout``, is 0."""
    module = copy.deepcopy(module)
    parts: list[Any] = list(module.modules())
    for part in parts:
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0
        elif isinstance(getattr(part, "dropout", None), float):
            part.dropout = 0.0
    return module


@torch.no_grad()
def redrawn(module: nn.Module) -> nn.Module:
    """A copy with random values in each trained parameter that is close to zero throughout, such as a layer scale of
    1e-6 or the last layer of a residual branch: what they scale has no effect at initialisation, but after training.
    The module itself where it has none."""
    small = [n for n, p in module.named_parameters() if p.requires_grad and p.numel() and p.abs().max() <= SMALL]
    if small:
        module, generator = copy.deepcopy(module), torch.Generator().manual_seed(0)
        for parameter in map(module.get_parameter, small):
            deviation = 0.1 if parameter.ndim < 2 else parameter[0].numel() ** -0.5
            parameter.copy_(deviation * torch.randn(parameter.shape, generator=generator))
    return module


def padded(clips: list[Tensor], frames: int, step: int, fill: float = 100.0) -> tuple[Tensor, Tensor]:
    """One batch of clips (1, L, ...), padded with ``fill``, a value that shows where an output depends on it.

    Returns:
        the batch (B, frames * step, ...) and its mask (B, frames).
    """
    batch = torch.full((len(clips), frames * step, *clips[0].shape[2:]), fill)
    mask = torch.zeros(len(clips), frames, dtype=torch.bool)
    for row, clip in enumerate(clips):
        batch[row, : clip.shape[1]] = clip[0]
        mask[row, : clip.shape[1] // step] = True
    return batch, mask


def _warm_up(module: nn.Module, clips: list[Tensor], step: int) -> None:
    """Update the running statistics: with their initial values, a missing normalisation would not be noticed."""
    module.train()
    with torch.no_grad():
        module(*padded(clips, max(LENGTHS), step))


def check_close(got: Tensor, want: Tensor, message: str, tolerance: float = TOLERANCE) -> None:
    """Raises AssertionError with the message where two tensors of the same shape differ."""
    difference = (got - want).abs().max().item()
    limit = tolerance * max(1.0, want.abs().max().item())
    assert difference <= limit, f"{message}: by {difference:.1e}, allowed {limit:.1e}"
