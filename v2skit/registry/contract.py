"""What a built component must be and return, checked where it is built and called.

A component of a plug-in that returns another shape or type would otherwise fail far from itself, or not at all: values
of another shape may broadcast. So each output is compared with the contract of its kind, and the error names the
component. :mod:`v2skit.testing` checks far more, in the tests of a plug-in.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from v2skit.errors import UserError, suggestion
from v2skit.registry.failure import failure
from v2skit.registry.kinds import arguments, kinds

STREAMS = {
    "visual_frontend": ("input", "'video', or a tuple of several streams with 'video' among them"),
    "audio_frontend": ("input", "'mel' or 'waveform', or another stream without video, or a tuple of several"),
    "decoder": ("output", "'mel' or 'waveform', or the name of another stream"),
    "head": ("outputs", "a tuple with the names of the streams that it gives"),
}
"""Kind -> attribute with the names of a component's streams, and what it may be."""

RATES = ("frame", "mel", "sample", "sequence")
"""Rates of streams, see :mod:`v2skit.data.batch`."""

NEEDED = {
    "metric": ("protocol", "higher_is_better", "__call__"),
    "asr": ("protocol", "__call__"),
    "corpus": ("obtain", "splits"),
    "tracker": ("start", "update", "finish"),
    "logger": ("start", "log", "close"),
    "tokenizer": ("normalise", "fit", "load_state", "encode", "decode", "size"),
}
"""Kind -> attributes and methods of a component that is no module."""

ARGUMENTS = ("inference_arguments", "training_arguments")
"""Attributes of a component of any kind with names of arguments of its constructor: those that change only what it
computes in synthesis, and may change after training; those without an effect on what its trained weights compute."""

WITH_DIMENSION = ("visual_frontend", "audio_frontend", "speaker", "encoder")
"""Kinds of components that have the attribute ``out_dim``, a number of features."""


def checked(component: Any, kind: str, where: str, given: Mapping[str, Any]) -> Any:
    """A built component, whose outputs are checked from now on.

    Args:
        component: what its constructor made.
        kind: a key of :data:`v2skit.registry.kinds.KINDS`, or a kind of a plug-in.
        where: the component's name, for messages.
        given: what the toolkit gave to its constructor.

    Raises:
        UserError: it is no module though its kind are networks or losses, lacks an attribute of its kind, or does not
            pass the check of a plug-in's kind.
    """
    check = kinds()[kind].check
    if check:
        try:
            check(component)
        except BaseException as error:  # of a plug-in, which may fail in any way
            raise UserError(f"{where} is no {kind}: {failure(error)}") from error
    if kind == "target":
        _check_target(component, where)
    _check_arguments(kind, component, where)
    for name in NEEDED.get(kind, ()):
        if not hasattr(component, name):
            raise UserError(f"{where} has no {name}; a component of its kind needs {', '.join(NEEDED[kind])}")
    if kind not in OUTPUTS or hasattr(component, "compute"):  # a stored target is no module
        return component
    if not hasattr(component, "register_forward_hook"):
        raise UserError(f"{where} is a {type(component).__name__}; it must be a torch.nn.Module")
    if kind in STREAMS:
        _check_streams(kind, component, where)
    if kind in WITH_DIMENSION:
        width = getattr(component, "out_dim", None)
        if not isinstance(width, int) or isinstance(width, bool) or width < 0:
            raise UserError(f"{where} must have the attribute out_dim, its number of features, not {width!r}")
    component.register_forward_hook(functools.partial(_check, kind, where, dict(given)))
    return component


def _check_streams(kind: str, component: Any, where: str) -> None:
    name, wanted = STREAMS[kind]
    value = getattr(component, name, None)
    several = isinstance(value, tuple) and kind != "decoder"
    names: tuple[Any, ...] = value if isinstance(value, tuple) and several else (value,)
    fits = bool(names) and all(isinstance(entry, str) and entry for entry in names) and (several or kind != "head")
    if kind in ("visual_frontend", "audio_frontend"):
        fits = fits and ("video" in names) == (kind == "visual_frontend")
    if not fits:
        raise UserError(f"{where} must have the attribute {name} = {wanted}, not {value!r}")
    if kind == "decoder" and value not in ("mel", "waveform"):
        count = getattr(component, "per_frame", None)
        if not isinstance(count, int) or count < 1:
            raise UserError(f"{where} must have the attribute per_frame, values a video frame, not {count!r}")


def _check_arguments(kind: str, component: Any, where: str) -> None:
    """Raises UserError where an attribute of ARGUMENTS names what is no argument, or what can't be assigned later."""
    for attribute in ARGUMENTS:
        names = getattr(type(component), attribute, ())
        if not isinstance(names, (tuple, list)):
            raise UserError(f"{where} must have the attribute {attribute} = a tuple of names, not {names!r}")
        known = arguments(kind, type(component)) if names else {}
        for name in names:
            # A subclass with a constructor of its own inherits training_arguments, which are only left out, not read.
            if name not in known and (attribute in vars(type(component)) or attribute == "inference_arguments"):
                raise UserError(
                    f"{where} names '{name}' in {attribute}, but its constructor has no such argument that a config "
                    f"may set{suggestion(name, known)}"
                )
    for name in getattr(type(component), "inference_arguments", ()):
        if not hasattr(component, name):
            raise UserError(f"{where} names '{name}' in inference_arguments; let its constructor set self.{name} too")


def _check_target(component: Any, where: str) -> None:
    """Raises UserError where a target is neither a module nor stored, see :mod:`v2skit.data.targets`."""
    if hasattr(component, "register_forward_hook") == hasattr(component, "compute"):
        raise UserError(f"{where} must be either a torch.nn.Module, for batches, or have compute(), for utterances")
    rate = getattr(component, "rate", None)
    if rate not in RATES:
        raise UserError(f"{where} must have the attribute rate = {' or '.join(map(repr, RATES))}, not {rate!r}")
    if hasattr(component, "compute") and not hasattr(component, "dtype"):
        raise UserError(f"{where} must have the attribute dtype, the NumPy type of its values, e.g. 'float32'")
    if hasattr(component, "fit") and not hasattr(component, "load_state"):
        raise UserError(f"{where} has fit() but no load_state(), which restores what was fitted; add it")


def check_scalars(where: str, values: Any) -> None:
    """Raises UserError where the values of a loss are not ``{name: scalar}``."""
    if not isinstance(values, Mapping):
        raise UserError(f"{where} returned {_described(values)}, not {{name: scalar}}")
    for name, value in values.items():
        if not isinstance(name, str) or not _is_tensor(value) or value.ndim != 0:
            raise UserError(f"{where} returned {name!r}: {_described(value)}, not {{name: scalar}}")


def name_of(component: Any) -> str | None:
    """The name of a module that :func:`checked` has returned, or of a copy of it; None of any other."""
    for hook in component._forward_hooks.values():
        if isinstance(hook, functools.partial) and hook.func is _check:
            return str(hook.args[1])
    return None


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
    """Output of a decoder for (B,T,E): its stream, or several by name, mel and waveform as long as the clip."""
    x, mel = inputs[0], given["mel"]
    clips, steps = x.shape[:2]
    streams = output if isinstance(output, Mapping) else {module.output: output}
    if module.output not in streams:
        raise UserError(
            f"{where} returned the streams {', '.join(streams)}, its output '{module.output}' not among them"
        )
    shapes = {
        "mel": (clips, steps * mel.per_frame(given["clock"]), mel.n_mels),
        "waveform": (clips, steps * given["step"]),
    }
    words = {"mel": "mel (B,F,M)", "waveform": "waveform (B,N)"}
    for name, value in streams.items():
        if name in shapes:
            _check_tensor(where, value, shapes[name], words[name], x)
        else:
            _check_stream(where, name, value, inputs[1])


def _vocoded(where: str, given: dict[str, Any], module: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Output of a vocoder: ``step`` samples for each mel frame; of another stream a whole number for each value."""
    clips, steps = inputs[0].shape[:2]
    per_step = given["step"]
    if getattr(module, "input", "mel") != "mel" and _is_tensor(output) and output.ndim == 2:
        per_step = max(1, output.shape[1] // steps)
    _check_tensor(where, output, (clips, steps * per_step), "waveform (B,N)", inputs[0])


def _predicted(where: str, given: dict[str, Any], module: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Output of a head: its streams by name."""
    if not isinstance(output, Mapping) or set(output) != set(module.outputs):
        found = ", ".join(output) if isinstance(output, Mapping) else _described(output)
        raise UserError(f"{where} returned {found}, not a dict with its outputs {', '.join(module.outputs)}")
    for name, value in output.items():
        _check_stream(where, name, value, inputs[1])


def _target(where: str, given: dict[str, Any], module: Any, inputs: tuple[Any, ...], output: Any) -> None:
    """Values of a target on the device: as long as the batch by its rate."""
    batch = inputs[0]
    lengths = {"sample": batch.waveform.shape[1], "mel": batch.mask.shape[1] * given["mel"].per_frame(given["clock"])}
    _check_stream(where, module.rate, output, batch.mask)
    if output.shape[1] != lengths.get(module.rate, output.shape[1]):
        wanted = f"(B,L,...) with L = {lengths[module.rate]}, since its rate is '{module.rate}'"
        raise UserError(f"{where} returned {_described(output)}, not {wanted}")


def _check_stream(where: str, name: str, value: Any, mask: Any) -> None:
    """Raises UserError where a stream is no tensor (B,T*k,...) for a mask (B,T)."""
    clips, frames = mask.shape
    shaped = hasattr(value, "ndim") and value.ndim >= 2 and value.shape[0] == clips
    if not shaped or not value.shape[1] or value.shape[1] % frames:
        raise UserError(
            f"{where} returned '{name}': {_described(value)}, not (B,T*k,...) with B, T = {clips}, {frames}"
        )
    if value.device != mask.device:
        raise UserError(f"{where} returned '{name}' on {value.device}; its input is on {mask.device}")


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
    "vocoder": _vocoded,
    "head": _predicted,
    "target": _target,
    "discriminator": _scores,
    "extractor": _layers,
    "loss": _scalars,
}
"""Kind -> check of an output: (name, given, component, inputs, output), raises UserError."""
