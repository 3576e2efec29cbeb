"""YAML + ``base:`` (one or several, later ones win) + ``--set key.path=value`` -> checked settings."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import yaml

from v2skit.config.schema import Config
from v2skit.errors import UserError, suggestion
from v2skit.registry import plugins
from v2skit.registry.component import Component, Term
from v2skit.registry.kinds import KINDS, arguments

Origins = dict[str, str]
"""Dotted key -> the file (or ``--set``) that gave it."""


def load_config(path: Path, overrides: Iterable[str] = ()) -> Config:
    """Read a config file, the files it is based on, and overrides of the form ``key.path=value``.

    Raises:
        UserError: a file can't be read, or a key or value does not fit; names the file, the key and the nearest name.
    """
    tree, origins = _read(Path(path), ())
    known = set(origins)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise UserError(f"--set {override}: expected key.path=value, e.g. --set finetune.steps=100")
        branch: Any = _parse(value, f"--set {override}")
        for part in reversed(key.split(".")):
            branch = {part: branch}
        _merge(tree, branch, "--set", origins)
    return _Checker(origins, str(path), known).value(tree, Config, "")


def check_config(tree: dict, source: str = "config") -> Config:
    """Check a plain tree (as :func:`to_tree` makes it) and turn it into settings. Raises UserError."""
    return _Checker({}, source).value(tree, Config, "")


def parse_component(kind: str, text: str, source: str) -> Component:
    """A component from the command line: its name, or ``{type: NAME, argument: value}``. Raises UserError."""
    tree = _parse(text, source)
    return check_component(kind, {"type": tree} if isinstance(tree, str) else tree, source)


def tracker(name: str, **arguments: object) -> Component:
    """A tracker, e.g. ``tracker("landmarks", folder=DIR)``, or as in a config.

    ``tracker("{type: landmarks, folder: DIR}")`` is the same.

    Raises:
        UserError: there is none of that name, or its arguments are others.
    """
    if arguments:
        return check_component("tracker", {"type": name, **arguments}, "tracker")
    return parse_component("tracker", name, "tracker")


def check_component(kind: str, tree: dict, source: str) -> Component:
    """A component from a plain tree. Raises UserError."""
    return _Checker({}, source).component(tree, Component, kind, kind)


def to_tree(value: Any) -> Any:
    """Settings as plain dicts, lists and scalars, complete: no base and no default is needed to read them again."""
    if isinstance(value, Component):
        weight = {"weight": value.weight} if isinstance(value, Term) else {}
        return {"type": value.type, **weight, **to_tree(value.args)}
    if dataclasses.is_dataclass(value):
        return {f.name: to_tree(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {k: to_tree(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_tree(v) for v in value]
    return value


def origins_of(value: Any) -> set[str]:
    """The plug-ins whose components are somewhere in the settings."""
    if isinstance(value, Component):
        return {value.origin} | origins_of(value.args)
    if dataclasses.is_dataclass(value):
        value = [getattr(value, f.name) for f in dataclasses.fields(value)]
    elif isinstance(value, dict):
        value = list(value.values())
    return {origin for v in value for origin in origins_of(v)} if isinstance(value, (list, tuple)) else set()


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    return {k: v for key, sub in tree.items() for k, v in flatten(sub, f"{prefix}.{key}" if prefix else key).items()}


def _parse(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{source} is not valid YAML: {error}") from error


def _read(path: Path, seen: tuple[Path, ...]) -> tuple[dict, Origins]:
    """The merged tree of a file and its bases, and where each key comes from."""
    if path.resolve() in seen:
        raise UserError(f"{path}: a config can't be its own base")
    try:
        tree = _parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config {path} can't be read: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected keys and values")
    bases = tree.pop("base", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise UserError(f"{path}: base: expected the path of a config or a list of such, not {bases!r}")
    merged: dict = {}
    origins: Origins = {}
    for base in bases:
        under, their_origins = _read(path.parent / base, (*seen, path.resolve()))
        _merge(merged, under, base, {})
        origins |= their_origins
    _merge(merged, tree, str(path), origins)
    return merged, origins


def _merge(tree: dict, over: dict, source: str, origins: Origins, prefix: str = "") -> None:
    """Lay ``over`` on ``tree``. Another ``type:`` starts from nothing: the arguments of the old one do not fit."""
    for key, value in over.items():
        path = f"{prefix}{key}"
        old = tree.get(key)
        origins[path] = source
        if isinstance(old, dict) and isinstance(value, dict):
            if value.get("type", old.get("type")) != old.get("type"):
                old.clear()
            _merge(old, value, source, origins, f"{path}.")
        elif isinstance(value, dict):
            tree[key] = {}
            _merge(tree[key], value, source, origins, f"{path}.")
        else:
            tree[key] = value


class _Checker:
    """Turns plain trees into settings.

    Args:
        origins: where keys come from, for messages.
        source: where all others do.
        known: keys of the files, of which ``--set KEY=null`` can leave one out; None: no key is left out so.
    """

    def __init__(self, origins: Origins, source: str, known: set[str] | None = None) -> None:
        self.origins, self.source, self.known = origins, source, known

    def error(self, path: str, message: str) -> UserError:
        where = path
        while where and where not in self.origins:
            where = where.rpartition(".")[0]
        return UserError(f"{self.origins.get(where, self.source)}: {message}")

    def value(self, value: Any, want: Any, path: str) -> Any:
        """``value`` as the annotation ``want`` says. Raises UserError."""
        origin, inner = typing.get_origin(want), typing.get_args(want)
        if want is Any or want is inspect.Parameter.empty:
            return value
        if origin is Annotated:
            return self.component(value, inner[0], inner[1], path)
        if origin in (typing.Union, types.UnionType):
            if value is None and type(None) in inner:
                return None
            return self.value(value, next(t for t in inner if t is not type(None)), path)
        if isinstance(want, type) and dataclasses.is_dataclass(want):
            return self.section(value, want, path)
        if origin is dict:
            if not isinstance(value, dict):
                raise self.error(path, f"{path}: expected keys and values, not {value!r}")
            for k, v in value.items():
                if v is None and self.known is not None and f"{path}.{k}" not in self.known:
                    raise self.error(
                        f"{path}.{k}", f"{path} has no '{k}' to leave out{suggestion(k, set(value) - {k})}"
                    )
            return {k: self.value(v, inner[1], f"{path}.{k}") for k, v in value.items() if v is not None}
        if origin in (list, tuple):
            if not isinstance(value, (list, tuple)):
                raise self.error(path, f"{path}: expected a list, not {value!r}")
            return origin(self.value(v, inner[0], f"{path}.{i}") for i, v in enumerate(value))
        return self.scalar(value, want, path)

    def scalar(self, value: Any, want: type, path: str) -> Any:
        if want is float and not isinstance(value, bool):
            try:
                return float(value)  # YAML 1.1 reads 1e-3 as a string
            except (TypeError, ValueError):
                pass
        elif isinstance(value, want) and not (want is int and isinstance(value, bool)):
            return value
        name = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(want, want.__name__)
        raise self.error(path, f"{path}: expected {name}, not {value!r}")

    def section(self, value: Any, want: type, path: str) -> Any:
        if not isinstance(value, dict):
            raise self.error(path, f"{path or 'config'}: expected keys and values, not {value!r}")
        fields = {f.name: f for f in dataclasses.fields(want)}
        hints = typing.get_type_hints(want, include_extras=True)
        dot = f"{path}." if path else ""
        for key in value:
            if key not in fields:
                raise self.error(f"{dot}{key}", f"unknown key '{dot}{key}'{suggestion(key, fields)}")
        for name, f in fields.items():
            required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
            if required and name not in value:
                raise self.error(path, f"'{dot}{name}' is missing")
        checked = {k: self.value(v, hints[k], f"{dot}{k}") for k, v in value.items()}
        try:
            return want(**checked)
        except UserError as error:
            # Such a message begins with the key at fault, within the section or from the top.
            key = re.split(r"[^\w.]", str(error), maxsplit=1)[0]
            found = [k for k in (f"{dot}{key}", key) if k in self.origins]
            prefix = dot if dot and not key.startswith(path) else ""
            raise self.error(found[0] if found else path, f"{prefix}{error}") from error

    def component(self, value: Any, want: type[Component], kind: str, path: str) -> Component:
        """A ``type:`` and its arguments, against the signature of the component's constructor."""
        if not isinstance(value, dict) or not isinstance(value.get("type"), str):
            raise self.error(path, f"{path}: expected 'type:' with the name of a {kind}, not {value!r}")
        name = value["type"]
        args = {k: v for k, v in value.items() if k != "type"}
        extra = {}
        if want is Term:
            if "weight" not in args:
                raise self.error(path, f"{path}: loss '{name}' has no weight")
            extra["weight"] = self.scalar(args.pop("weight"), float, f"{path}.weight")
        try:
            entry = plugins.registry().entry(kind, name)
            cls = entry.load()
        except UserError as error:
            raise self.error(f"{path}.type", f"{path}: {error}") from error
        allowed = arguments(kind, cls)
        component: Any = cls
        hints = typing.get_type_hints(component.__init__, include_extras=True)
        for key in args:
            if key in KINDS[kind].given:
                raise self.error(f"{path}.{key}", f"{kind} '{name}': '{key}' is set by the toolkit, not by the config")
            if key not in allowed:
                hint = suggestion(key, allowed)
                raise self.error(f"{path}.{key}", f"{kind} '{name}': unexpected argument '{key}'{hint}")
        for key, parameter in allowed.items():
            if parameter.default is inspect.Parameter.empty and key not in args:
                raise self.error(path, f"{kind} '{name}': argument '{key}' is missing")
        defaults = {k: p.default for k, p in allowed.items()}
        checked = {k: self.value(v, hints.get(k, Any), f"{path}.{k}") for k, v in args.items()}
        return want(type=name, args={**defaults, **checked}, origin=entry.origin, kind=kind, **extra)
