"""The extension interface. A plug-in is a module with any of these functions, marked ``@v2skit.hookimpl``,
that its package names under the entry-point group ``v2skit``, or a file that a config names under ``plugins:``. The
built-in components use the same hook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

hookspec = pluggy.HookspecMarker("v2skit")
hookimpl = pluggy.HookimplMarker("v2skit")
"""Marks a plug-in's implementation of a hook."""


@hookspec
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Register components: call ``register(kind, name, target)`` once for each.

    ``kind`` is a key of :data:`v2skit.registry.kinds.KINDS` or a kind of a plug-in, ``name`` is what a config's
    ``type:`` says, and ``target`` is ``"package.module:Class"``, imported on first use, so that registering costs
    nothing; ``":Class"`` is a class of the plug-in's own module.
    """


@hookspec
def register_kinds(register: Callable[..., None]) -> None:
    """Register kinds of components: call ``register(name, purpose, given=(), check=None)`` once for each.

    ``purpose`` is their input and output, ``given`` the names of constructor arguments that code gives and a config
    must not, and ``check(component)`` is called with each built one and raises an exception where it is unusable. A
    component is chosen as an argument of another one: ``Annotated[Component, name]`` in the type hint of a constructor.
    """


@hookspec
def register_commands(subcommands: Any) -> None:
    """Add commands: for ``v2skit NAME``, ``command = subcommands.add_parser(NAME, help=...)`` is an
    ``argparse.ArgumentParser`` for its arguments, and ``command.set_defaults(run=function)`` names the function that is
    called with the parsed options. A ``UserError`` that it raises is printed as one sentence.
    """
