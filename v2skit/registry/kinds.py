"""The kinds of components, and the arguments of their constructors."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from v2skit.errors import UserError


@dataclass(frozen=True)
class Kind:
    """A kind of component.

    Args:
        purpose: its input and output.
        given: constructor arguments that the toolkit gives, and a config must not; a constructor names those it needs.
        check: called with each built component of the kind; raises an exception where it is unusable.
        origin: the plug-in that registered it.
    """

    purpose: str
    given: tuple[str, ...] = ()
    check: Callable[[Any], object] | None = None
    origin: str = "v2skit"


KINDS = {
    "visual_frontend": Kind("mouth crops (B,T,1,H,W) -> features (B,T,D) at the video frame rate", ("clock",)),
    "audio_frontend": Kind("mel (B,F,M) or waveform (B,N) -> features (B,T,D)", ("clock", "mel")),
    "speaker": Kind("speaker -> embedding (B,S), never computed from the clip itself", ("speakers",)),
    "encoder": Kind("features (B,T,D) -> features with temporal context (B,T,E)", ("in_dim",)),
    "decoder": Kind(
        "features (B,T,E) -> mel (B,F,M), waveform (B,N) or another stream",
        ("in_dim", "step", "clock", "mel", "targets"),
    ),
    "vocoder": Kind("mel (B,F,M) or another stream -> waveform (B,N)", ("in_dim", "step", "clock", "mel", "targets")),
    "head": Kind("features (B,T,D) -> {stream: tensor}, predicted in training", ("in_dim", "clock", "mel", "targets")),
    "target": Kind("an utterance or a batch -> values of a stream, which losses need", ("clock", "mel")),
    "tokenizer": Kind("text -> token ids, fitted to the training texts"),
    "loss": Kind("(output, batch) -> {name: scalar}", ("clock", "mel")),
    "discriminator": Kind("waveform (B,N) -> [(score, features)], for adversarial losses", ("clock",)),
    "extractor": Kind("waveform (B,N) -> [features (B,L,D)], frozen, for the perceptual loss", ("clock", "mel")),
    "metric": Kind("(reference, hypothesis, rate) -> {name: float}"),
    "asr": Kind("waveform -> words, for the word error rate (WER)", ("grammar",)),
    "corpus": Kind("a corpus as published -> data directories", ("work_dir",)),
    "tracker": Kind("video frames -> place of the mouth in each frame"),
    "logger": Kind("losses and samples of a training run -> a log, see v2skit.training.loggers.logger"),
}

IN_USE: ContextVar[Mapping[str, Kind]] = ContextVar("IN_USE", default=KINDS)
"""KINDS, which installed plug-ins add to; and the kinds of plug-in files, within
:func:`v2skit.registry.plugins.using`."""

RENAMED_KINDS = {"critic": "discriminator"}
"""Kinds of components in version 0.1 -> their names now."""


_CONTEXT = {"look_back_frames": "left_context_frames"}
RENAMED = {
    "visual_frontend": {"takes": "input", **_CONTEXT},
    "audio_frontend": {"takes": "input", **_CONTEXT},
    "encoder": _CONTEXT,
    "decoder": {"gives": "output", **_CONTEXT},
    "vocoder": _CONTEXT,
    "speaker": {"takes_recording": "accepts_recording"},
    "loss": {"needs": "input", "learn": "discriminator_backward", "learn_steps": "discriminator_steps"},
}
"""Attributes of components in version 0.1 -> their names now, by kind."""


def check_names(kind: str, component: object) -> None:
    """Raises UserError where a component, as a class or built, has an attribute of version 0.1 and not the new one."""
    for old, new in RENAMED.get(kind, {}).items():
        if hasattr(component, old) and not hasattr(component, new):
            raise UserError(
                f"is of a plug-in for v2skit 0.1; rename its attribute '{old}' to '{new}', or install a newer version "
                "of the plug-in"
            )


def kinds() -> Mapping[str, Kind]:
    """All kinds by name: built-in ones, those of installed plug-ins and of the plug-in files in use."""
    return IN_USE.get()


def arguments(kind: str, component: type) -> dict[str, inspect.Parameter]:
    """The arguments that a config may set: those of the constructor without what the toolkit gives to this kind."""
    parameters = inspect.signature(component).parameters
    named = {n: p for n, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    return {n: p for n, p in named.items() if n not in kinds()[kind].given}


def construct(kind: str, component: type, args: dict[str, Any], **given: Any) -> Any:
    """Build a component from the config's arguments and those of ``given`` that its constructor has."""
    parameters, names = inspect.signature(component).parameters, kinds()[kind].given
    built = component(**args, **{n: v for n, v in given.items() if n in parameters and n in names})
    check_names(kind, built)
    return built
