"""The contract checks of a component by its kind, with the examples of :mod:`v2skit.testing.examples`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from v2skit.data.targets import is_fitted, is_stored
from v2skit.testing import examples
from v2skit.testing.examples import CLOCK, FRAMES, IN_DIM, MEL, RATE, SCRIPTS, TEXTS, babble
from v2skit.testing.loggers import check_logger
from v2skit.testing.losses import check_discriminator, check_extractor, check_loss
from v2skit.testing.parts import (
    check_audio_frontend,
    check_decoder,
    check_encoder,
    check_head,
    check_speaker,
    check_visual_frontend,
    check_vocoder,
    draws,
    inputs_of,
)
from v2skit.testing.preparation import check_tracker
from v2skit.testing.scores import check_asr, check_metric
from v2skit.testing.targets import check_device_target, check_target, check_tokenizer

Check = Callable[[Any, Callable[[], Any], Path], None]

UNITS: dict[str, Callable[[int, int], torch.Tensor]] = {
    "units": lambda clips, steps: torch.randint(0, examples.CLASSES, (clips, steps))
}
"""Input of a vocoder other than the mel -> random values of it."""


def _target(target: Any, make: Callable[[], Any], folder: Path) -> None:
    if not is_stored(target):
        check_device_target(target, examples.batch())
        return
    if is_fitted(target):
        target.fit(examples.fit_utterances())
    check_target(target, examples.waveform(), FRAMES, TEXTS[0])


def _metric(metric: Any, make: Callable[[], Any], folder: Path) -> None:
    speech = babble()
    noise = 0.3 * np.abs(speech).max() * np.random.default_rng(0).standard_normal(len(speech))
    check_metric(metric, speech, speech + noise, RATE)


def _tracker(tracker: Any, make: Callable[[], Any], folder: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (4, 32, 40, 3), dtype=np.uint8)
    check_tracker(tracker, list(frames), finds=False)


CHECKS: dict[str, Check] = {
    "visual_frontend": lambda module, make, folder: check_visual_frontend(module, CLOCK, MEL),
    "audio_frontend": lambda module, make, folder: check_audio_frontend(module, CLOCK, MEL),
    "speaker": lambda module, make, folder: check_speaker(module, folder, examples.data_directory(folder)),
    "encoder": lambda module, make, folder: check_encoder(module, IN_DIM),
    "decoder": lambda module, make, folder: check_decoder(module, IN_DIM, CLOCK, MEL),
    "vocoder": lambda module, make, folder: check_vocoder(module, MEL, UNITS.get(getattr(module, "input", "mel"))),
    "head": lambda module, make, folder: check_head(module, IN_DIM),
    "target": _target,
    "tokenizer": lambda tokenizer, make, folder: check_tokenizer(lambda: copy.deepcopy(tokenizer), [*TEXTS, *SCRIPTS]),
    "loss": lambda loss, make, folder: check_loss(loss, examples.output(examples.batch()), examples.batch()),
    "discriminator": lambda module, make, folder: check_discriminator(module),
    "extractor": lambda module, make, folder: check_extractor(module),
    "metric": _metric,
    "asr": lambda asr, make, folder: check_asr(asr, babble(0.5), RATE),
    "tracker": _tracker,
    "logger": lambda logger, make, folder: check_logger(make, folder),
}
"""Kind -> check of (a built component, function that builds it again, an empty folder), raises AssertionError. Corpora
are not among them: :func:`v2skit.testing.check_corpus` obtains one, which may be large."""


def check_contract(kind: str, make: Callable[[], Any], folder: Path) -> None:
    """Raises AssertionError where a component breaks the contract of its kind; one of a plug-in's kind has none.

    Args:
        kind: of the component.
        make: builds it.
        folder: an empty folder for its files.
    """
    if kind in CHECKS:
        torch.manual_seed(0)
        CHECKS[kind](make(), make, folder)


def _frontend_inputs(module: Any) -> tuple[Any, ...]:
    values = draws(module, CLOCK, MEL)
    return *(values[name](2, 8) for name in inputs_of(module)), torch.ones(2, 8, dtype=torch.bool)


def _features(module: Any) -> tuple[Any, ...]:
    return torch.randn(2, 8, IN_DIM), torch.ones(2, 8, dtype=torch.bool)


def _stream(module: Any) -> tuple[Any, ...]:
    other = UNITS.get(getattr(module, "input", "mel"))
    return (other(2, 8) if other else torch.randn(2, 8, MEL.n_mels) - 5,)


INPUTS: dict[str, Callable[[Any], tuple[Any, ...]]] = {
    "visual_frontend": _frontend_inputs,
    "audio_frontend": _frontend_inputs,
    "encoder": _features,
    "decoder": _features,
    "head": _features,
    "vocoder": _stream,
    "discriminator": lambda module: (0.1 * torch.randn(2, 4800),),
    "extractor": lambda module: (0.1 * torch.randn(2, 9600),),
}
"""Kind -> random inputs of a network."""

EXPORTED = ("visual_frontend", "audio_frontend", "encoder", "decoder", "vocoder")
"""Kinds of networks that synthesis runs."""
