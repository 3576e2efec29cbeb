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
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from v2skit.config.features import Clock, Mel
from v2skit.data.batch import Batch
from v2skit.errors import UserError
from v2skit.models.model import Output, Part

LENGTHS = (7, 4, 2)
TOLERANCE = 1e-5
STREAMING_TOLERANCE = 1e-4
CONTEXTS = ("left_context_frames", "look_ahead_frames")
LONGEST_CONTEXT = 400
"""Input steps; a longer left or right context is checked for this many."""


def check_visual_frontend(module: Part) -> None:
    """Raises AssertionError where a visual frontend, (B, T, 1, H, W) -> (B, T, D), breaks its contract."""
    assert getattr(module, "input", None) == "video", "a visual frontend has the attribute input = 'video'"
    size = module.crop
    _check(module, lambda clips, frames: torch.randn(clips, frames, 1, size, size), 1, (1, module.out_dim))


def check_audio_frontend(module: Part, clock: Clock, mel: Mel) -> None:
    """Raises AssertionError where an audio frontend, (B, F, M) or (B, N) -> (B, T, D), breaks its contract."""
    kind = getattr(module, "input", None)
    assert kind in ("mel", "waveform"), f"an audio frontend has the attribute input = 'mel' or 'waveform', not {kind!r}"
    if kind == "mel":
        step = mel.per_frame(clock)
        _check(module, lambda b, t: 2 * torch.randn(b, t * step, mel.n_mels) - 5, step, (1, module.out_dim))
    else:
        step = clock.samples_per_frame
        _check(module, lambda b, t: 0.1 * torch.randn(b, t * step), step, (1, module.out_dim))


def check_encoder(module: Part, in_dim: int) -> None:
    """Raises AssertionError where an encoder, (B, T, in_dim) -> (B, T, E), breaks its contract."""
    _check(module, lambda clips, frames: torch.randn(clips, frames, in_dim), 1, (1, module.out_dim))


def check_decoder(module: nn.Module, in_dim: int, clock: Clock, mel: Mel) -> None:
    """Raises AssertionError where a decoder, (B, T, in_dim) -> (B, F, M) or (B, N), breaks its contract."""
    kind = getattr(module, "output", None)
    assert kind in ("mel", "waveform"), f"a decoder has the attribute output = 'mel' or 'waveform', not {kind!r}"
    out = (mel.per_frame(clock), mel.n_mels) if kind == "mel" else (clock.samples_per_frame,)
    _check(module, lambda clips, frames: torch.randn(clips, frames, in_dim), 1, out)


def check_vocoder(module: nn.Module, mel: Mel) -> None:
    """Raises AssertionError where a vocoder, (B, F, M) -> (B, F * hop), breaks its contract."""
    torch.manual_seed(0)
    module, mels = module.eval(), 2 * torch.randn(2, 9, mel.n_mels) - 5
    log = math.log if mel.log == "natural" else math.log10
    with torch.no_grad():
        waveform, again, single = module(mels), module(mels), module(mels[1:])
        silence = module(torch.full((1, 5, mel.n_mels), log(mel.floor)))
    assert waveform.shape == (2, 9 * mel.hop), f"output has shape {tuple(waveform.shape)}, not {(2, 9 * mel.hop)}"
    assert torch.equal(waveform, again), "two calls with the same mel have different outputs"
    assert waveform.isfinite().all() and silence.isfinite().all(), "output holds NaN or infinity"
    assert (waveform[0] - waveform[1]).abs().max() > 0, "output does not depend on the mel"
    _close(waveform[1], single[0], "the output for a clip depends on its batch")
    _check_receptive_field(
        module, module, lambda clips, frames: 2 * torch.randn(clips, frames, mel.n_mels) - 5, 1, mel.hop
    )


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
            _close(whole[1], part[0], "a clip in a batch is scored otherwise than alone")
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
    tensors = {name: value for name, value in vars(output.detached()).items() if value is not None}
    given = Output(**{name: value.clone().requires_grad_() for name, value in tensors.items()})
    if hasattr(module, "discriminator_backward"):
        _check_discriminator_step(module, output.detached(), batch)
    values = module(given, batch)
    for name, value in values.items():
        assert value.ndim == 0 and value.isfinite(), f"{name} is no finite scalar"
    if values:
        sum(values.values()).backward()
        reached = [value.grad for value in vars(given).values() if value is not None and value.grad is not None]
        assert any(grad.abs().sum() > 0 for grad in reached), "no gradient reaches the output"


def check_logger(make: Callable[[], Any], run: Path) -> None:
    """Raises AssertionError where a logger breaks its contract, see :mod:`v2skit.training.loggers.logger`.

    Args:
        make: builds the logger; called for a run that is interrupted, and again where it resumes.
        run: an empty folder for the run.
    """
    values = {"total": 1.5, "learning_rate": 1e-3}
    for step, status in ((0, "interrupted"), (2, "finished")):
        before = sorted(run.rglob("*"))
        logger = make()
        assert sorted(run.rglob("*")) == before, "the constructor writes files; start() is to do that"
        logger.start(run, "pretrain", step, {"seed": 1, "losses": {"l1": {"type": "l1", "weight": 1.0}}})
        for kind in ("train", "valid"):
            given = dict(values)
            logger.log(step + 2, kind, given)
            assert given == values, "log() changes the values, which other loggers get as well"
        if hasattr(logger, "audio"):
            logger.audio(step + 2, "predicted", np.zeros(640, np.float32), 16000)
        logger.close(status)


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
        _close(twice[name], 2 * gradient, f"a second discriminator_backward() does not add to the gradient of {name}")
    module.discriminator_update()
    cleared = all(p.grad is None or not p.grad.any() for p in module.parameters())
    assert cleared, "discriminator_update() leaves gradients behind"


def _check(module: nn.Module, make: Callable[[int, int], Tensor], step: int, out: tuple[int, ...]) -> None:
    """All checks of a network (B, T * step, ...), mask (B, T) -> (B, T * out[0], *out[1:]).

    Args:
        module: the network.
        make: (B, T) -> a random input (B, T * step, ...).
        step: entries of the input's dim 1 a video frame.
        out: entries of the output's dim 1 a video frame, then the output's further dims.
    """
    module = without_dropout(module)
    torch.manual_seed(0)
    clips = [make(1, frames) for frames in LENGTHS]
    _warm_up(module, clips, step)
    module.eval()
    batch, mask = padded(clips, max(LENGTHS) + 1, step)
    with torch.no_grad():
        output = module(batch, mask)
        again = module(batch, mask)
        single = [module(clip, torch.ones(1, frames, dtype=torch.bool)) for clip, frames in zip(clips, LENGTHS)]
    shape = (len(clips), mask.shape[1] * out[0], *out[1:])
    assert output.shape == shape, f"output has shape {tuple(output.shape)}, not {shape}"
    assert torch.equal(output, again), "eval mode: two calls with the same input have different outputs"
    out_mask = mask.repeat_interleave(out[0], dim=1)
    assert output.isfinite().all(), "output holds NaN or infinity"
    assert (output[~out_mask] == 0).all(), "output is not zero where the mask is False"
    for row, (frames, want) in enumerate(zip(LENGTHS, single)):
        _close(
            output[row, : frames * out[0]], want[0], "eval mode: the output for a clip depends on its batch or padding"
        )
    assert output[0].std() > 0, "output does not depend on the input"
    _check_receptive_field(
        module, lambda x: module(x, torch.ones(1, x.shape[1] // step, dtype=torch.bool)), make, step, out[0]
    )
    _check_training(module, clips, step, out[0])
    _check_wrong_length(module, make, step)


def _check_receptive_field(
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
        output = trained(batch, mask)
        output.square().sum().backward()
        unused = [name for name, p in trained.named_parameters() if p.requires_grad and p.grad is None]
        assert not unused, f"no gradient reaches {', '.join(unused)}"
        assert batch.grad is not None, "no gradient reaches the input"
        leak = batch.grad[~mask.repeat_interleave(step, dim=1)].abs().sum()
        assert leak == 0, "gradients reach the padding of the input"
        assert batch.grad.isfinite().all(), "the input's gradient holds NaN or infinity"
        results.append((output[:, : frames * out_step], dict(trained.named_buffers())))
    (output, buffers), (longer_output, longer_buffers) = results
    _close(longer_output, output, "train mode: more padding changes the output", 10 * TOLERANCE)
    for name, value in buffers.items():
        _close(longer_buffers[name], value, f"train mode: padding enters the running statistic {name}")


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


def _close(got: Tensor, want: Tensor, message: str, tolerance: float = TOLERANCE) -> None:
    difference = (got - want).abs().max().item()
    limit = tolerance * max(1.0, want.abs().max().item())
    assert difference <= limit, f"{message}: by {difference:.1e}, allowed {limit:.1e}"
