"""The contracts of targets and tokenizers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from v2skit.data.batch import PADDING, Batch
from v2skit.data.targets import is_stored
from v2skit.registry.failure import failure
from v2skit.testing.losses import refilled
from v2skit.testing.networks import check_close


def check_target(target: Any, waveform: np.ndarray, frames: int, text: str | None) -> None:
    """Raises AssertionError where a stored target, fitted if it has to be, breaks its contract.

    Args:
        target: the component.
        waveform: (N,) float32.
        frames: video frames in it.
        text: its words.
    """
    assert is_stored(target), "it has no compute(): a target for batches is checked by check_device_target()"
    values, again = (np.asarray(target.compute(waveform.copy(), text), target.dtype) for _ in range(2))
    np.testing.assert_array_equal(values, again, "two calls give different values")
    silence = np.asarray(target.compute(np.zeros_like(waveform), text), target.dtype)
    assert np.isfinite(silence).all(), "the values of silence hold NaN or infinity"
    target.compute(np.clip(2 * waveform[::-1], -1, 1), text)
    later = np.asarray(target.compute(waveform.copy(), text), target.dtype)
    assert np.array_equal(values, later), "the values depend on what was computed before"
    try:
        untranscribed = np.asarray(target.compute(waveform.copy(), None), target.dtype)
    except Exception as error:
        raise AssertionError(f"an utterance without text, text=None, is an error ({failure(error)})") from error
    if target.rate == "sequence":
        assert values.ndim == 1 and np.issubdtype(values.dtype, np.integer) and (values >= 0).all()
        assert untranscribed.ndim == 1, "without text, text=None, it has no sequence; give an empty one"
    else:
        assert np.isfinite(untranscribed).all(), "the values without text, text=None, hold NaN or infinity"
        assert len(untranscribed) == len(values), "without text, text=None, its values are not as many as with text"
        assert len(values) and len(values) % frames == 0 and len(silence) == len(values), "not k values a video frame"


@torch.no_grad()
def check_device_target(target: Any, batch: Batch) -> None:
    """Raises AssertionError where a target on the device, batch -> (B, L, ...), breaks its contract.

    Args:
        target: the component.
        batch: with the streams that it needs; clips of unequal length, so that some are padded.
    """
    values, again = target(batch), target(batch)
    assert torch.equal(values, again), "two calls give different values"
    clips, frames = batch.mask.shape
    if target.rate == "sequence":
        assert values.ndim == 2 and len(values) == clips and not values.is_floating_point(), "no integers (B, L)"
        ends = (values == PADDING).int().diff(dim=1) < 0
        assert (values >= PADDING).all() and not ends.any(), f"they are not 0 or more, with {PADDING} after their end"
        return
    count = {"mel": batch.mel_mask().shape[1] if batch.mel is not None else frames, "sample": batch.waveform.shape[1]}
    step = count.get(target.rate, frames)
    shape = tuple(values.shape)
    assert len(shape) > 1 and shape[0] == clips and shape[1] and shape[1] % step == 0, f"{shape} is not (B, L, ...)"
    assert target.rate == "frame" or shape[1] == step, f"{shape[1]} values, not {step}, one a step of its rate"
    valid = batch.mask.repeat_interleave(shape[1] // frames, dim=1)
    assert values[valid].float().isfinite().all(), "values are NaN or infinite"
    check_close(target(refilled(batch))[valid].float(), values[valid].float(), "values depend on the padding")
    alone = target(_last(batch))
    check_close(alone[valid[-1:]].float(), values[-1:][valid[-1:]].float(), "values of a clip depend on its batch")


def _last(batch: Batch) -> Batch:
    """The last clip of a batch alone."""
    own: dict[str, Any] = {name: value[-1:] for name, value in vars(batch).items() if isinstance(value, Tensor)}
    extras = {name: value[-1:] for name, value in batch.extras.items()}
    return replace(batch, ids=batch.ids[-1:], **own, extras=extras)


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
        assert ids, f"{text!r} has no tokens; letters of every script are to be kept"
        assert all(0 <= number < tokenizer.size for number in ids), f"ids out of 0..size-1: {ids}"
        assert copied.encode(text) == ids, "encode() differs after load_state()"
        normal = tokenizer.normalise(text)
        assert tokenizer.decode(ids) == normal == copied.decode(ids), f"decode(encode({text!r})) is not {normal!r}"
    for empty in ("", " \t"):
        assert list(tokenizer.encode(empty)) == [] and tokenizer.normalise(empty) == "", "text without words has ids"
