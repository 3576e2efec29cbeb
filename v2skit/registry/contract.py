"""What a built component must be and return, checked where it is built and called.

A component of a plug-in that returns another shape or type would otherwise fail far from itself, or not at all: values
of another shape may broadcast. So each output is compared with the contract of its kind, and the error names the
component. :mod:`v2skit.testing` checks far more, in the tests of a plug-in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from v2skit.errors import UserError

ATTRIBUTES: dict[str, dict[str, tuple[str, ...]]] = {
    "visual_frontend": {"input": ("video",)},
    "audio_frontend": {"input": ("mel", "waveform")},
    "decoder": {"output": ("mel", "waveform")},
}
"""Kind -> attribute of the component -> its values."""

NEEDED = {
    "metric": ("protocol", "higher_is_better", "__call__"),
    "asr": ("protocol", "__call__"),
    "corpus": ("obtain", "splits"),
    "tracker": ("start", "update", "finish"),
    "logger": ("start", "log", "close"),
}
"""Kind -> attributes and methods of a component that is no module."""

WITH_DIMENSION = ("visual_frontend", "audio_frontend", "speaker", "encoder")
"""Kinds of components that have the attribute ``out_dim``, a number of features."""


def checked(component: Any, kind: str, where: str, given: Mapping[str, Any]) -> Any:
    """A built component, whose outputs are checked from now on.

    Args:
        component: what its constructor made.
        kind: a key of :data:`v2skit.registry.kinds.KINDS`.
        where: the component's name, for messages.
        given: what the toolkit gave to its constructor.

    Raises:
        UserError: it is no module though its kind are networks or losses, or lacks an attribute of its kind.
    """
    for name in NEEDED.get(kind, ()):
        if not hasattr(component, name):
            raise UserError(f"{where} has no {name}; a component of its kind needs {', '.join(NEEDED[kind])}")
    if kind not in OUTPUTS:
        return component
    if not hasattr(component, "register_forward_hook"):
        raise UserError(f"{where} is a {type(component).__name__}; it must be a torch.nn.Module")
    for name, values in ATTRIBUTES.get(kind, {}).items():
        value = getattr(component, name, None)
        if value not in values:
            wanted = " or ".join(map(repr, values))
            raise UserError(f"{where} must have the attribute {name} = {wanted}, not {value!r}")
    if kind in WITH_DIMENSION:
        width = getattr(component, "out_dim", None)
        if not isinstance(width, int) or isinstance(width, bool) or width < 0:
            raise UserError(f"{where} must have the attribute out_dim, its number of features, not {width!r}")
    component.register_forward_hook(functools.partial(_check, kind, where, dict(given)))
    return component


def check_scalars(where: str, values: Any) -> None:
    """Raises UserError where the values of a loss are not ``{name: scalar}``."""
    if not isinstance(values, Mapping):
        raise UserError(f"{where} returned {_described(values)}, not {{name: scalar}}")
    for name, value in values.items():
        if not isinstance(name, str) or not _is_tensor(value) or value.ndim != 0:
            raise UserError(f"{where} returned {name!r}: {_described(value)}, not {{name: scalar}}")


def _check(kind: str, where: str, given: dict[str, Any], module: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Forward hook of a component. Raises UserError where an output breaks the contract of its kind."""
    if not inputs:  # called with keywords, as only its own tests do
        return
    try:
        OUTPUTS[kind](where, given, module, inputs, output)
    except UserError as error:
        raise UserError(f"{error}; correct the component, or choose another", kind=kind) from error


def _check_tensor(where: str, output: Any, shape: tuple[int, ...], what: str, like: Any) -> None:
    wanted = f"{what} = {shape}"
    if not _is_tensor(output) or tuple(output.shape) != shape:
        raise UserError(f"{where} returned {_described(output)}, not {wanted}")
    if output.device != like.device:
        raise UserError(f"{where} returned a tensor on {output.device}; its input is on {like.device}")


def _features(where: str, given: dict[str, Any], module: Any, inputs: tuple[Any, ...], output: Any) -> None:
    mask = inputs[-1]
    _check_tensor(where, output, (*mask.shape, module.out_dim), "features (B,T,out_dim)", mask)


def _embedding(where: str, given: dict[str, Any], module: Any, inputs: tuple[Any, ...], output: Any) -> None:
    speaker = inputs[0]
    _check_tensor(where, output, (len(speaker), module.out_dim), "embeddings (B,out_dim)", speaker)


def _speech(where: str, given: dict[str, Any], module: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Output of a decoder or vocoder for (B,T,E): mel, or a waveform of ``step`` samples for each of the T."""
    x, mel = inputs[0], given["mel"]
    clips, steps = x.shape[:2]
    if getattr(module, "output", "waveform") == "mel":
        frames = steps * mel.per_frame(given["clock"])
        _check_tensor(where, output, (clips, frames, mel.n_mels), "mel (B,F,M)", x)
    else:
        _check_tensor(where, output, (clips, steps * given["step"]), "waveform (B,N)", x)


def _scores(where: str, given: dict[str, Any], module: Any, inputs: tuple[Any, ...], output: Any) -> None:
    clips = len(inputs[0])
    pairs: Any = output if isinstance(output, (list, tuple)) else ()
    if not pairs or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise UserError(f"{where} returned {_described(output)}, not [(score (B,...), [features])], at least one")
    for score, features in pairs:
        _check_layers(where, features)
        if not _is_tensor(score) or not score.ndim or len(score) != clips:
            raise UserError(f"{where} returned the score {_described(score)}, not one for each of {clips} clips")


def _layers(where: str, given: dict[str, Any], module: Any, inputs: tuple[Any, ...], output: Any) -> None:
    _check_layers(where, output)


def _check_layers(where: str, features: Any) -> None:
    if not isinstance(features, (list, tuple)) or not all(map(_is_tensor, features)):
        raise UserError(f"{where} returned the features {_described(features)}, not a list of float tensors")


def _scalars(where: str, given: dict[str, Any], module: Any, inputs: tuple[Any, ...], output: Any) -> None:
    check_scalars(where, output)


def _is_tensor(value: Any) -> bool:
    """Whether it is a torch tensor of floating-point numbers; torch is not imported for plain lists of components."""
    return hasattr(value, "is_floating_point") and value.is_floating_point()


def _described(value: Any) -> str:
    """The type of a value, with the shape of a tensor or array and the types in a list."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__} of {value.dtype} {tuple(value.shape)}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__} of {len(value)} ({', '.join(_described(entry) for entry in value[:3])})"
    return type(value).__name__


OUTPUTS: dict[str, Callable[[str, dict[str, Any], Any, tuple[Any, ...], Any], None]] = {
    "visual_frontend": _features,
    "audio_frontend": _features,
    "speaker": _embedding,
    "encoder": _features,
    "decoder": _speech,
    "vocoder": _speech,
    "discriminator": _scores,
    "extractor": _layers,
    "loss": _scalars,
}
"""Kind -> check of an output: (name, given, component, inputs, output), raises UserError."""
