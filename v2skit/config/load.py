"""YAML, ``base:`` (one or several, later ones override) and ``--set key.path=value`` -> checked settings."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Annotated, Any

from v2skit.config.addresses import pin
from v2skit.config.check import check
from v2skit.config.defaults import LOGGERS
from v2skit.config.messages import origin_of, shortened
from v2skit.config.parts import spread
from v2skit.config.plain import MAX_DEPTH, fault
from v2skit.config.plugin_files import KEY, Copies, add_paths, read_files, stored_files
from v2skit.config.schema import Config
from v2skit.config.upgrade import check_dropped, upgrade
from v2skit.config.yaml_tree import MAX_BYTES, parse_yaml
from v2skit.errors import UserError, suggestion
from v2skit.registry import direct, plugins
from v2skit.registry.component import Component
from v2skit.registry.files import PluginFile
from v2skit.registry.kinds import kinds
from v2skit.registry.trust import check_classes, check_trusted, trust

Origins = dict[str, str]
"""Dotted key -> the file (or ``--set``) that gave it."""
MAX_BASES = 100
"""Files of one config; a base that is named several times counts each time."""


def load_config(path: Path, overrides: Iterable[str] = (), copies: Copies | None = None) -> Config:
    """Read a config file with its bases, apply overrides of the form ``key.path=value``, run its plug-in files, and pin
    addresses on a hub.

    Args:
        path: of the file.
        overrides: as after ``--set``; the path may have the number of an entry of a list.
        copies: of plug-in files, in an experiment.

    Raises:
        UserError: a file can't be read, or a key or value does not fit; names the file, the key and the nearest name,
            and has the fields ``key`` and ``source``.
    """
    tree, origins, added = _overridden(Path(path), overrides)
    tree = pin(tree, str(path), origins)
    files = _files(tree, origins, str(path), copies)
    with plugins.using(files):
        whole = spread(tree, origins)
        config = check({**whole, KEY: [to_tree(file) for file in files]}, Config, str(path), origins)
    trust([file for file in files if copies is None or file not in copies.used], direct.paths(tree))
    for key, value in flatten(whole).items():
        if value is None and key in added:
            _check_left_out(config, key)
    return config


def load_plugins(path: Path, overrides: Iterable[str] = ()) -> list[PluginFile]:
    """The plug-in files of a config, run; the config is not checked. Raises UserError as :func:`load_config`."""
    tree, origins, _ = _overridden(Path(path), overrides)
    return _files(tree, origins, str(path))


def check_config(tree: dict, source: str = "config") -> Config:
    """A stored tree, as :func:`to_tree` of this version or of 0.1 made it, as settings.

    Raises:
        UserError: a key or value does not fit, as for :func:`load_config`; or it would run code that is not trusted,
            see :mod:`v2skit.registry.trust`, with the field ``untrusted``.
    """
    tree = upgrade(tree)
    check_dropped(tree, source)
    files = stored_files(tree, source)
    check_trusted(files, direct.paths(tree), source)
    with plugins.using(files):
        config = check(tree, Config, source)
    check_classes(components_in(config), source)
    return config


def read_tree(path: Path) -> dict:
    """The merged tree of a config file and its bases, without overrides and unchecked. Raises UserError."""
    return _read(Path(path), (), [])[0]


def parse_component(kind: str, text: str, source: str) -> Component:
    """A component from the command line: its name, or ``{type: NAME, argument: value}``. Raises UserError."""
    tree = parse_yaml(text, source)
    return check_component(kind, {"type": tree} if isinstance(tree, str) else tree, source)


def tracker(name: str, **arguments: object) -> Component:
    """The choice of a tracker: ``tracker("landmarks", folder=DIR)``, or as in a config.

    ``tracker("{type: landmarks, folder: DIR}")`` is the same.

    Raises:
        UserError: there is no tracker of this name, or an argument does not fit.
    """
    if arguments:
        return check_component("tracker", {"type": name, **arguments}, "tracker")
    return parse_component("tracker", name, "tracker")


def check_component(kind: str, tree: dict, source: str) -> Component:
    """A component from a plain tree. Raises UserError."""
    return check(tree, Annotated[Component, kind], source, path=kind)


def to_tree(value: Any) -> Any:
    """Settings as plain dicts, lists and scalars, with all defaults: :func:`check_config` reads them without a base."""
    if isinstance(value, Component):
        return {"type": value.type, **value.own, **to_tree(value.args)}
    if dataclasses.is_dataclass(value):
        return {f.name: to_tree(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {k: to_tree(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_tree(v) for v in value]
    return str(value) if isinstance(value, PurePath) else value


def components_in(value: Any) -> Iterator[Component]:
    """All components in settings, with those among the arguments of others."""
    if isinstance(value, Component):
        yield value
        value = value.args
    if dataclasses.is_dataclass(value):
        value = [getattr(value, f.name) for f in dataclasses.fields(value)]
    elif isinstance(value, dict):
        value = list(value.values())
    for each in value if isinstance(value, (list, tuple)) else ():
        yield from components_in(each)


def origins_of(value: Any) -> set[str]:
    """The plug-ins of all components in the settings, and of their kinds."""
    found = list(components_in(value))
    kinds_of_found = (kinds().get(component.kind) for component in found)
    return {component.origin for component in found} | {kind.origin for kind in kinds_of_found if kind}


def identity(value: Any) -> Any:
    """As :func:`to_tree`, for the record of what is made with the components in it: where these are of plug-in files,
    with the digests of the files."""
    found = components_in(value)
    digests = {file.name: file.digest for each in found for file in each.files if file.name == each.origin}
    return {**to_tree(value), "plugin_files": digests} if digests else to_tree(value)


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}}`` -> ``{"a.b": 1}``."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    return {k: v for key, sub in tree.items() for k, v in flatten(sub, f"{prefix}.{key}" if prefix else key).items()}


def _overridden(path: Path, overrides: Iterable[str]) -> tuple[dict, Origins, set[str]]:
    """The tree of a config with its bases and overrides, the origin of each key, and the keys that overrides added."""
    tree: dict = {}
    origins: Origins = {}
    _merge(tree, {"loggers": {name: {"type": type_} for name, type_ in LOGGERS.items()}}, "default", origins)
    given, given_origins = _read(path, (), [])
    _merge(tree, given, str(path), {})
    origins |= given_origins
    known = set(origins)
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise UserError(f"--set {override}: expected key.path=value, e.g. --set finetune.steps=100")
        if key.count(".") >= MAX_DEPTH:
            raise UserError(f"--set {override[:100]}...: a key has at most {MAX_DEPTH} levels; shorten it")
        shown = " ".join(override.split())
        branch: Any = parse_yaml(value, f"--set {shown if len(shown) <= 100 else f'{shown[:100]}...'}")
        if key == KEY:
            add_paths(tree, branch, Path(), "--set")
            origins[KEY] = "--set"
            continue
        for part in reversed(key.split(".")):
            branch = {part: branch}
        _merge(tree, branch, "--set", origins)
    return tree, origins, origins.keys() - known


def _files(tree: dict, origins: Origins, path: str, copies: Copies | None = None) -> list[PluginFile]:
    """The plug-in files that a tree names, run. Raises UserError where one fails."""
    source = origin_of(KEY, path, origins)
    files = read_files(tree.get(KEY, []), source, copies)
    try:
        with plugins.using(files):
            return files
    except UserError as error:
        raise UserError(f"{source}: {KEY}: {error}", key=KEY, source=source) from error


def _read(path: Path, above: tuple[Path, ...], read: list[Path]) -> tuple[dict, Origins]:
    """The merged tree of a file and its bases, and the origin of each key.

    Args:
        path: the file.
        above: the files whose base it is.
        read: all files so far; this one and its bases are added.
    """
    text, place = _text(path)
    if place in above:
        raise UserError(f"{path}: a config can't be its own base")
    read.append(place)
    if len(read) > MAX_BASES:
        raise UserError(f"{read[0]} has more than {MAX_BASES} bases, bases of bases included; merge some of them")
    tree = parse_yaml(text, str(path))
    if not isinstance(tree, dict):
        raise UserError(f"{path}: expected keys and values")
    bases = tree.pop("base", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(isinstance(base, str) for base in bases):
        raise UserError(f"{path}: base: expected the path of a config or a list of such, not {shortened(bases)}")
    if fault(bases)[1]:
        raise UserError(f"{path}: base: the path {shortened(bases)} has control characters; delete them")
    merged: dict = {}
    origins: Origins = {}
    has_plugins, own_plugins = KEY in tree, tree.pop(KEY, None)
    for base in bases:
        under, their_origins = _read(path.parent / base, (*above, place), read)
        add_paths(merged, under.pop(KEY, []), Path(), base)
        _merge(merged, under, base, {})
        origins |= their_origins
    _merge(merged, tree, str(path), origins)
    if has_plugins:
        add_paths(merged, own_plugins, path.parent, str(path))
        origins[KEY] = str(path)
    return merged, origins


def _text(path: Path) -> tuple[str, Path]:
    """The text of a file, and its absolute path. Raises UserError where it can't be read, or is too large."""
    try:
        place = path.resolve()
        mode = path.stat().st_mode
        if stat.S_ISFIFO(mode) and place.parts[1] not in ("dev", "proc"):  # nobody may ever write into it
            raise UserError(f"config {path} is a pipe, not a file; name a file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # no more of a device without end
        return content.decode("utf-8-sig"), place
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links in a circle
        in_recipe = path.parts[:1] == ("conf",)
        remedy = "; run this in a recipe's folder, or name a config with --config" if in_recipe else ""
        remedy = "; change its permissions" if isinstance(error, PermissionError) else remedy
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"config {path} can't be read: {reason}{remedy}", path=path) from error


def _merge(tree: dict, over: dict, source: str, origins: Origins, prefix: str = "") -> None:
    """Merge ``over`` into ``tree``. With another ``type:`` the arguments of the old one are dropped; keys with the
    numbers of entries of a list, as in ``--set losses.p.extractors.0.layer=3``, are merged into these."""
    for key, value in over.items():
        path = f"{prefix}{key}"
        old = tree.get(key)
        origins[path] = source
        if isinstance(old, list) and isinstance(value, dict) and source == "--set":
            entries = _numbered(old, value, path)
            _merge(entries, value, source, origins, f"{path}.")
            tree[key] = list(entries.values())
            continue
        if isinstance(old, dict) and isinstance(value, dict):
            if value.get("type", old.get("type")) != old.get("type"):
                old.clear()
            _merge(old, value, source, origins, f"{path}.")
        elif isinstance(value, dict):
            tree[key] = {}
            _merge(tree[key], value, source, origins, f"{path}.")
        else:
            tree[key] = value


def _numbered(values: list, wanted: Iterable[str], path: str) -> dict[str, Any]:
    """The entries of a list by their numbers. Raises UserError where a wanted one does not exist."""
    entries = {str(number): value for number, value in enumerate(values)}
    for number in wanted:
        if number not in entries:
            has = f"entries 0 to {len(values) - 1}" if values else "no entries"
            message = f"{path} is a list with {has}, not '{number}'; set the whole list to have others"
            raise UserError(f"--set: {message}", key=f"{path}.{number}", source="--set")
    return entries


def _check_left_out(config: Config, key: str) -> None:
    """Raises UserError where ``--set KEY=null`` is to leave out an entry that no config has put into the dict."""
    *place, name = key.split(".")
    parent: Any = config
    for part in place:
        parent = parent.args if isinstance(parent, Component) else parent
        parent = parent.get(part) if isinstance(parent, dict) else getattr(parent, part, None)
    if isinstance(parent, dict) and name not in parent:
        message = f"{'.'.join(place)} has no '{name}' to leave out{suggestion(name, parent)}"
        raise UserError(f"--set: {message}", key=key, source="--set")
