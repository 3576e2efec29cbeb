"""Targets: what computes the streams of a batch that are neither audio nor video, such as tokens, units or F0.

A component of kind ``target`` is of one of two sorts.

* On the device: an ``nn.Module`` with ``rate``, (batch) -> (B,L,...) with L by its rate, computed for each batch.
  ``needs`` may name other targets that it is computed from; they are computed before it.
* Stored: an object with ``rate``, ``dtype`` and ``compute(waveform (N,), text) -> (L,...)``, computed once for each
  utterance. It may be fitted to training utterances before: ``fit(utterances) -> state``, plain and JSON-able, which
  ``load_state(state)`` restores; every checkpoint has it. ``settings_digest()`` may name what else its values depend
  on, such as the weights of an extractor; ``needs_audio = False`` says that ``compute`` does not look at the waveform,
  ``why_empty`` why a ``sequence`` may have no values. Components that ``fit`` and ``compute`` need, but not synthesis,
  are arguments that the class names in ``lazy``: it is given functions that build them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from v2skit.errors import UserError

DIGEST_LENGTH = 12


@dataclass(frozen=True)
class FitUtterance:
    """A training utterance for ``fit``; ``waveform()`` reads its audio, (N,) float32."""

    id: str
    text: str | None
    waveform: Callable[[], np.ndarray]


@dataclass(frozen=True)
class Targets:
    """The built targets of a config.

    Args:
        built: by the name of the stream.
        states: of those that were fitted.
    """

    built: Mapping[str, Any] = field(default_factory=dict)
    states: Mapping[str, dict] = field(default_factory=dict)

    @property
    def on_device(self) -> dict[str, Any]:
        """Those that are computed for each batch."""
        return {name: target for name, target in self.built.items() if not is_stored(target)}

    @property
    def stored(self) -> dict[str, Any]:
        """Those that are computed once for each utterance."""
        return {name: target for name, target in self.built.items() if is_stored(target)}

    @property
    def digests(self) -> dict[str, str]:
        """Digests of the fitted states, by name of the stream."""
        return {name: state_digest(state) for name, state in self.states.items()}


def in_order(targets: Mapping[str, Any]) -> dict[str, Any]:
    """Targets by name, each after those that it ``needs``, all of which are among them; else in the given order. Raises
    UserError where one is computed from itself."""
    found: dict[str, Any] = {}

    def add(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circle = [*path[path.index(name) :], name]
            why = ", ".join(f"'{one}' from '{other}'" for one, other in pairwise(circle))
            raise UserError(f"targets are computed in a circle, {why}; leave out one of these", key=f"targets.{name}")
        if name not in found:
            for needed in getattr(targets[name], "needs", ()):
                add(needed, (*path, name))
            found[name] = targets[name]

    for name in targets:
        add(name, ())
    return found


def is_stored(target: Any) -> bool:
    """Whether a target is computed once for each utterance, not on the device."""
    return hasattr(target, "compute")


def is_fitted(target: Any) -> bool:
    """Whether a target has to be fitted to training utterances."""
    return hasattr(target, "fit")


def state_digest(state: Any) -> str:
    """A short hash of a plain tree."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:DIGEST_LENGTH]


def check_same_targets(ours: Mapping[str, dict], theirs: Mapping[str, dict], our_name: str, their_name: str) -> None:
    """Raises UserError where two models predict or need the same stream with targets that were fitted differently.

    Args:
        ours: fitted states by stream, of one model.
        theirs: of the other.
        our_name: name of the first, for the message.
        their_name: of the second.
    """
    for name in sorted(ours.keys() & theirs.keys()):
        if state_digest(ours[name]) != state_digest(theirs[name]):
            raise UserError(
                f"{our_name} and {their_name} have different targets '{name}', fitted to other data or with other "
                "settings, so that the same number means something else; train one of them with the other's",
                stream=name,
            )


def compute(target: Any, name: str, waveform: np.ndarray, text: str | None) -> np.ndarray:
    """The values of a stored target for an utterance, waveform (N,) -> (L,...). Raises UserError where one is NaN."""
    values = np.asarray(target.compute(waveform, text), target.dtype)
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        raise UserError(f"target '{name}' gave NaN or infinity; correct it, or leave it out", stream=name)
    return values
