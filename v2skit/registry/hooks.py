"""The extension interface. A plug-in is a module with any of these functions, marked ``@v2skit.hookimpl``,
that its package names under the entry-point group ``v2skit``. The built-in components use the same hook."""

from collections.abc import Callable

import pluggy

hookspec = pluggy.HookspecMarker("v2skit")
hookimpl = pluggy.HookimplMarker("v2skit")
"""Marks a plug-in's implementation of a hook."""


@hookspec
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Register components: call ``register(kind, name, target)`` once for each.

    ``kind`` is a key of :data:`v2skit.registry.kinds.KINDS`, ``name`` is what a config's ``type:`` says, and
    ``target`` is ``"package.module:Class"``, imported on first use, so that registering costs nothing.
    """
