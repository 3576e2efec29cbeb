"""The kinds of components, and the constructor arguments of each."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Kind:
    """What a kind of component is for, and the constructor arguments that the toolkit gives (never the config)."""

    purpose: str
    given: tuple[str, ...] = ()


KINDS = {
    "visual_frontend": Kind("mouth crops (B,T,1,H,W) -> features (B,T,D) at the video frame rate"),
    "audio_frontend": Kind("mel (B,F,M) or waveform (B,N) -> features (B,T,D)", ("clock", "mel")),
    "speaker": Kind("who speaks -> embedding (B,S), never from the clip itself", ("speakers",)),
    "encoder": Kind("temporal context (B,T,D) -> (B,T,E)", ("in_dim",)),
    "decoder": Kind("features (B,T,E) -> mel (B,F,M) or waveform (B,N)", ("in_dim", "step", "clock", "mel")),
    "vocoder": Kind("mel (B,F,M) -> waveform (B,N)", ("in_dim", "step", "clock", "mel")),
    "loss": Kind("(output, batch) -> {name: scalar}", ("clock", "mel")),
    "discriminator": Kind("waveform (B,N) -> [(score, features)], for adversarial losses", ("clock",)),
    "extractor": Kind("waveform (B,N) -> [features (B,L,D)], frozen, for the perceptual loss", ("clock", "mel")),
    "metric": Kind("(reference, hypothesis, rate) -> {name: float}"),
    "asr": Kind("waveform -> words, for the word error rate", ("grammar",)),
    "corpus": Kind("a corpus as published -> data directories", ("work_dir",)),
    "tracker": Kind("video frames -> where the mouth is, per frame"),
}


def arguments(kind: str, component: type) -> dict[str, inspect.Parameter]:
    """The arguments that a config may set: those of the constructor less what the toolkit gives for this kind."""
    parameters = inspect.signature(component).parameters
    named = {n: p for n, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    return {n: p for n, p in named.items() if n not in KINDS[kind].given}


def construct(kind: str, component: type, args: dict[str, Any], **given: Any) -> Any:
    """Build a component from its config arguments and from those of ``given`` that its constructor names."""
    wanted = inspect.signature(component).parameters
    return component(**args, **{n: v for n, v in given.items() if n in wanted and n in KINDS[kind].given})
