"""(kind, name) -> component class, imported on first use."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from v2skit.errors import UserError, suggestion
from v2skit.extras import missing


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
    "critic": Kind("waveform (B,N) -> [(score, features)], for adversarial losses", ("clock",)),
    "extractor": Kind("waveform (B,N) -> [features (B,L,D)], frozen, for the perceptual loss", ("clock", "mel")),
    "metric": Kind("(reference, hypothesis, rate) -> {name: float}"),
    "asr": Kind("waveform -> words, for the word error rate", ("grammar",)),
    "corpus": Kind("a corpus as published -> data directories", ("work_dir",)),
    "tracker": Kind("video frames -> where the mouth is, per frame"),
}


@dataclass(frozen=True)
class Entry:
    """One registered component; ``origin`` is the plug-in that brought it."""

    kind: str
    name: str
    target: str
    origin: str

    def load(self) -> type:
        """Import the component. Raises UserError, with the plug-in's name, where that fails."""
        module, _, attribute = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except Exception as error:  # its module may fail in any way
            if isinstance(error, ImportError):
                error = missing(error, "it") or error
            why = error if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            raise UserError(f"{self.kind} '{self.name}' (from {self.origin}) can't be loaded: {why}") from error


class Registry:
    """All components known to this process, by kind and name."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Entry] = {}
        self.broken: dict[str, str] = {}
        """Plug-ins that could not be loaded, and why."""

    def add(self, kind: str, name: str, target: str, origin: str) -> None:
        """Register a component. Raises UserError for an unknown kind or a name that is taken."""
        if kind not in KINDS:
            raise UserError(f"{origin} registers '{name}' as unknown kind '{kind}'{suggestion(kind, KINDS)}")
        taken = self._entries.get((kind, name))
        if taken:
            raise UserError(
                f"{kind} '{name}' is registered twice: by {taken.origin} ({taken.target}) and by {origin} ({target}); "
                "uninstall one of the two or rename its component"
            )
        if ":" not in target:
            raise UserError(f"{origin}: target '{target}' of {kind} '{name}' is not of the form 'package.module:Class'")
        self._entries[kind, name] = Entry(kind, name, target, origin)

    def entry(self, kind: str, name: str) -> Entry:
        """The entry of a component. Raises UserError, with the nearest name, where there is none."""
        if kind not in KINDS:
            raise UserError(f"unknown kind '{kind}'{suggestion(kind, KINDS)}")
        if (kind, name) not in self._entries:
            hint = suggestion(name, (e.name for e in self.entries(kind)))
            broken = "".join(f"\n  plug-in {origin} is broken: {why}" for origin, why in self.broken.items())
            raise UserError(f"unknown {kind} '{name}'{hint}{broken}")
        return self._entries[kind, name]

    def entries(self, kind: str | None = None) -> list[Entry]:
        """All entries, or those of one kind, sorted by kind and name."""
        return sorted((e for e in self._entries.values() if kind in (None, e.kind)), key=lambda e: (e.kind, e.name))


def arguments(kind: str, component: type) -> dict[str, inspect.Parameter]:
    """The arguments that a config may set: those of the constructor less what the toolkit gives for this kind."""
    parameters = inspect.signature(component).parameters
    named = {n: p for n, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    return {n: p for n, p in named.items() if n not in KINDS[kind].given}


def construct(kind: str, component: type, args: dict[str, Any], **given: Any) -> Any:
    """Build a component from its config arguments and from those of ``given`` that its constructor names."""
    wanted = inspect.signature(component).parameters
    return component(**args, **{n: v for n, v in given.items() if n in wanted and n in KINDS[kind].given})
