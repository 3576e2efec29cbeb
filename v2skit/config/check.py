"""Plain trees -> settings and components, checked by pydantic against signatures of dataclasses and constructors."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
import operator
import re
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic.errors import PydanticUserError

from v2skit.config.messages import expected, origin_of, refused, user_error
from v2skit.config.plain import fault
from v2skit.config.upgrade import RENAMED
from v2skit.errors import UserError, suggestion
from v2skit.registry import plugins
from v2skit.registry.component import Component, Term
from v2skit.registry.kinds import arguments, kinds

COLLECTIONS = {list: list, set: set, frozenset: frozenset, dict: dict, Sequence: list, Iterable: list, Mapping: dict}
"""Type of a hint -> type of the value that a config gives for it."""
_OF_COMPONENT = frozenset(field.name for field in dataclasses.fields(Component))
YAML_FLOAT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)e[-+]?\d+|[-+]?(nan|inf)", re.IGNORECASE)
"""Numbers that YAML 1.1 reads as text, such as 1e-3."""


def check(tree: Any, want: Any, source: str, origins: Mapping[str, str] | None = None, path: str = "") -> Any:
    """A plain tree as the settings, the component or the value that a type hint asks for.

    Args:
        tree: dicts, lists and scalars, as YAML has them.
        want: a type hint; ``Annotated[Component, KIND]`` asks for a component of this kind.
        source: where the tree comes from, for messages.
        origins: dotted key -> where this key comes from, for those that are not from ``source``.
        path: dotted key of the whole tree.

    Raises:
        UserError: a key or value does not fit; has the fields ``key`` and ``source``.
    """
    key, problem = fault(tree)
    if problem:
        key = ".".join(filter(None, (path, key)))
        source = origin_of(key, source, origins or {})
        raise UserError(f"{source}: {key or 'config'}: {problem}", key=key, source=source)
    try:
        return TypeAdapter(_hint(want)).validate_python(tree)
    except ValidationError as error:
        raise user_error(error, tree, source, origins or {}, path) from error


def _settings(make: Any, value: Any) -> Any:
    """Keys and values -> one of the frozen dataclasses of the schema."""
    if not isinstance(value, dict):
        raise expected("keys and values")
    fields = inspect.signature(make).parameters
    for key in value:
        if key not in fields:
            raise refused(f"unknown key '{{key}}'{suggestion(key, fields)}", key)
    for key, field in fields.items():
        if field.default is field.empty and key not in value:
            raise refused("'{key}' is missing", key)
    values = _checked(make, value)
    try:
        return make(**values)
    except UserError as error:  # of its __post_init__, see the head of the schema
        message, key = str(error), error.fields.get("key", "")
        raise refused(f"{{section}}{message}" if key else f"{{place}}: {message}", key) from error


def _component(make: type[Component], kind: str, value: Any) -> Component:
    """A ``type:`` and its arguments -> the choice of a component."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str) or not value["type"].isprintable():
        raise expected(f"'type:' with the name of a component of kind {kind}")
    what, of_choice = f"{kind} '{value['type']}'", own_hints(make)
    given = {key: argument for key, argument in value.items() if key != "type"}
    try:
        entry = plugins.registry().entry(kind, value["type"])
        component = entry.load()
        allowed = arguments(kind, component)
    except UserError as error:
        raise refused(f"{{place}}: {error}", "type") from error
    if make is Term and "weight" not in given:
        raise refused(f"{{place}}: {what} has no weight")
    for key in given:
        if key in kinds()[kind].given:
            raise refused(f"{what}: '{key}' is set by the toolkit, not by the config", key)
        if key not in allowed and key not in of_choice:
            hint = f"; did you mean '{RENAMED[key]}'?" if RENAMED.get(key) in allowed else suggestion(key, allowed)
            raise refused(f"{what}: unexpected argument '{key}'{hint}", key)
    for key, parameter in allowed.items():
        if parameter.default is parameter.empty and key not in given:
            raise refused(f"{what}: argument '{key}' is missing")
    usual = {key: argument for key, argument in given.items() if not _is_unlimited(argument, allowed.get(key))}
    checked = {**given, **_checked(component, usual, tuple(of_choice.items()))}
    own = {key: checked.pop(key) for key in of_choice if key in checked}
    defaults = {key: parameter.default for key, parameter in allowed.items()}
    args, found_in = {**defaults, **checked}, plugins.files()
    return make(type=value["type"], args=args, origin=entry.origin, kind=kind, files=found_in, **own)


def own_hints(make: type[Component]) -> dict[str, Any]:
    """The type hints of the keys that belong to a choice itself, see :attr:`Component.own`."""
    return {key: hint for key, hint in typing.get_type_hints(make).items() if key not in _OF_COMPONENT}


def _checked(make: type, given: dict[str, Any], own: tuple[tuple[str, Any], ...] = ()) -> dict[str, Any]:
    """The given arguments of a dataclass or a component, checked by their type hints; pydantic nests the errors."""
    if not given:
        return {}
    try:
        adapter = _adapter(make, own)
    except UserError as error:
        raise refused(f"{{place}}: {error}") from error
    values = adapter.validate_python(given)
    return {key: getattr(values, key) for key in given}


@functools.cache
def _adapter(make: type, own: tuple[tuple[str, Any], ...] = ()) -> TypeAdapter:
    """A check of a dict of arguments of a constructor, with keys of a choice's own in addition to these.

    Raises:
        UserError: a type hint of the constructor can't be read.
    """
    constructor: Any = make
    try:
        hints: dict[str, Any] = dict.fromkeys(inspect.signature(make).parameters, Any)
        hints |= typing.get_type_hints(constructor.__init__, include_extras=True)
        hints |= dict(own)
        fields = [(key, _hint(hint), dataclasses.field(default=None)) for key, hint in hints.items() if key != "return"]
        config = {"__pydantic_config__": ConfigDict(arbitrary_types_allowed=True)}
        return TypeAdapter(dataclasses.make_dataclass(make.__name__, fields, namespace=config))
    except (NameError, TypeError, PydanticUserError) as error:
        raise UserError(f"a type hint of {make.__qualname__}'s constructor can't be used: {error}") from error


def _hint(hint: Any) -> Any:
    """A type hint for pydantic that converts no scalar, makes tuples of lists, and checks sections and components."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is float:
        return Annotated[float, Strict(), Field(allow_inf_nan=False), BeforeValidator(_number)]
    if hint in (int, bool, str):
        return Annotated[hint, Strict()]
    if isinstance(hint, type) and issubclass(hint, Component):
        raise TypeError(f"say of which kind it is: Annotated[{hint.__name__}, KIND]")
    if dataclasses.is_dataclass(hint):
        return Annotated[Any, PlainValidator(functools.partial(_settings, hint))]
    if origin is Annotated:
        kind = next((annotation for annotation in inner[1:] if isinstance(annotation, str)), None)
        if kind:
            return Annotated[Any, PlainValidator(functools.partial(_component, inner[0], kind))]
        return Annotated[(_hint(inner[0]), *inner[1:])]
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, map(_hint, inner))
    if origin is tuple:
        values: Any = types.GenericAlias(tuple, tuple(map(_hint, inner)))
        if ... in inner:
            return values
        return Annotated[values, BeforeValidator(functools.partial(_of_length, len(inner)))]
    if origin in COLLECTIONS:
        values = types.GenericAlias(COLLECTIONS[origin], tuple(map(_hint, inner)))
        if COLLECTIONS[origin] is not dict:
            return values
        named = Annotated[values, AfterValidator(_named)] if _are_components(inner) else values
        return Annotated[named, BeforeValidator(_without_null)]
    return hint


def kinds_in(make: type) -> dict[str, list[str]]:
    """Arguments of a constructor that are components, or have some in them -> the kinds of these."""
    constructor: Any = make
    try:
        hints = typing.get_type_hints(constructor.__init__, include_extras=True)
    except (NameError, TypeError):  # an error where a config uses it
        return {}
    found = {name: list(dict.fromkeys(_kinds_of(hint))) for name, hint in hints.items()}
    return {name: kinds for name, kinds in found.items() if kinds}


def _kinds_of(hint: Any) -> Iterator[str]:
    inner = typing.get_args(hint)
    if typing.get_origin(hint) is Annotated and isinstance(inner[0], type) and issubclass(inner[0], Component):
        yield from (annotation for annotation in inner[1:] if isinstance(annotation, str))
    else:
        for each in inner:
            yield from _kinds_of(each)


def _are_components(inner: tuple[Any, ...]) -> bool:
    """Whether the hints of a dict's keys and values are those of components by name."""
    key, value = inner if len(inner) == 2 else (None, None)
    chosen = typing.get_args(value)[0] if typing.get_origin(value) is Annotated else None
    return key is str and isinstance(chosen, type) and issubclass(chosen, Component)


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) and YAML_FLOAT.fullmatch(value) else value


def _of_length(length: int, value: Any) -> Any:
    """The values of a tuple of this length. (pydantic's own error is that of the first missing or spare value.)"""
    if isinstance(value, (list, tuple)) and len(value) != length:
        raise expected(f"a list of {length} values")
    return value


def _without_null(value: Any) -> Any:
    """``key: null`` leaves out an entry of a dict that a base has, such as a loss or a metric."""
    return {key: entry for key, entry in value.items() if entry is not None} if isinstance(value, dict) else value


def _named(components: dict[str, Any]) -> dict[str, Any]:
    """Components by names that messages, logs and weights can have."""
    for name in components:
        if not name.strip() or name == "type" or any(character in "./\\" for character in name):
            rule = "must not be empty or 'type', or have dots or slashes"
            raise refused(f"{{place}}: the name {name!r} {rule}; give another one", name)
    return components


def _is_unlimited(argument: Any, parameter: inspect.Parameter | None) -> bool:
    """Whether an argument is infinity or NaN as by default, as a stored config has it; otherwise these are errors."""
    is_float = isinstance(argument, float) and not math.isfinite(argument)
    return is_float and parameter is not None and str(argument) == str(parameter.default)
