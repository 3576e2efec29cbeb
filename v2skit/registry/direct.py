"""Components that a config names by the path of their class, ``package.module:Class``; no plug-in registers them."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from typing import Any

from v2skit.errors import UserError
from v2skit.registry.contract import NEEDED, OUTPUTS

REMEDY = "install the package that has it, or correct its path, package.module:Class"
_OF_THE_BUILT = ("protocol", "higher_is_better")
"""Attributes in NEEDED that a constructor may set."""
_EITHER = {"target": ("compute", "register_forward_hook")}
"""Kind -> methods of which a class has one."""


def origin(path: str) -> str:
    """The distribution that has a class or module, or else the top-level module of its path."""
    return distribution(path) or _top(path)


def distribution(path: str) -> str | None:
    """The installed distribution that has a class or module, None where it is of none."""
    found = _distributions().get(_top(path))
    return found[0] if found else None


def version(name: str) -> str | None:
    """The version of what :func:`origin` named: empty for a module without one; None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        pass
    if not name.isidentifier():  # find_spec imports the packages above "a.b", and the name may be of a stored file
        return None
    try:
        return "" if importlib.util.find_spec(name) else None
    except (ImportError, ValueError):
        return None


def check_class(kind: str, component: Any) -> None:
    """Raises UserError where a path leads to something else than a class of this kind.

    It is checked before the constructor is called: a stored config must not call what is no component.
    """
    if not isinstance(component, type):
        raise UserError(f"is a {type(component).__name__}, not a class")
    if kind in OUTPUTS and kind not in _EITHER and not hasattr(component, "register_forward_hook"):
        raise UserError("is no torch.nn.Module, as its kind needs")
    methods = [name for name in NEEDED.get(kind, ()) if name not in _OF_THE_BUILT]
    for name in methods:
        if not _defines(component, name):
            raise UserError(f"has no {name}; a component of its kind needs {', '.join(methods)}")
    if kind in _EITHER and not any(_defines(component, name) for name in _EITHER[kind]):
        raise UserError("is no torch.nn.Module and has no compute; a component of its kind needs one of the two")


def is_checked(kind: str) -> bool:
    """Whether :func:`check_class` can tell classes of a kind from others; of the kinds of plug-ins it can't."""
    return kind in OUTPUTS or kind in NEEDED or kind in _EITHER


def paths(tree: Any) -> list[str]:
    """All paths of classes in a config, as a plain tree of any depth."""
    found, left = [], [tree]
    while left:
        value = left.pop()
        if isinstance(value, Mapping):
            if isinstance(value.get("type"), str) and ":" in value["type"]:
                found.append(value["type"])
            value = list(value.values())
        left += value if isinstance(value, (list, tuple)) else ()
    return found


def _defines(component: type, name: str) -> bool:
    """Whether a class or one of its bases has a method; that of its metaclass is none of its own."""
    return any(name in vars(base) for base in component.__mro__)


def _top(path: str) -> str:
    return path.partition(":")[0].partition(".")[0]


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    try:
        return importlib.metadata.packages_distributions()
    except Exception:  # the metadata of any installed package may be damaged, as `v2skit plugins` says
        return {}
