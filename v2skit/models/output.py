"""What a model outputs: named streams, and in training the values of its decoder's own losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from v2skit.errors import UserError, suggestion

NAMED = ("mel", "waveform")


@dataclass(frozen=True)
class Output:
    """Streams of a decoder and of heads, by name.

    Args:
        mel: (B,F,M), or None.
        waveform: (B,N), or None.
        extras: all other streams.
        losses: scalars of a decoder with a ``training_loss`` of its own, by name.
    """

    mel: Tensor | None = None
    waveform: Tensor | None = None
    extras: Mapping[str, Tensor] = field(default_factory=dict)
    losses: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, streams: Mapping[str, Tensor], losses: Mapping[str, Tensor] | None = None) -> Output:
        """Of streams by name."""
        named = {name: streams[name] for name in NAMED if name in streams}
        extras = {name: value for name, value in streams.items() if name not in NAMED}
        return cls(**named, extras=extras, losses=losses or {})

    @property
    def streams(self) -> dict[str, Tensor]:
        """All streams, by name."""
        named = {name: value for name in NAMED if (value := getattr(self, name)) is not None}
        return {**named, **self.extras}

    def stream(self, name: str) -> Tensor:
        """A stream by its name. Raises UserError where there is none."""
        found = self.streams
        if name not in found:
            raise UserError(
                f"the model outputs no stream '{name}'{suggestion(name, found)}; it outputs "
                f"{', '.join(found) or 'none'}; another decoder or a head (networks.heads) has to give it",
                stream=name,
            )
        return found[name]

    def each(self, function: Callable[[Tensor], Tensor]) -> Output:
        """With a function applied to each stream and loss."""
        streams = {name: function(value) for name, value in self.streams.items()}
        return Output.of(streams, {name: function(value) for name, value in self.losses.items()})

    def detached(self) -> Output:
        """The same values, detached from the graph."""
        return self.each(Tensor.detach)
