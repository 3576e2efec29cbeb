"""Plug-ins that are installed for a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from v2skit.registry import plugins


@contextmanager
def installed(**found: Any) -> Iterator[None]:
    """Plug-ins by name: objects or modules with hooks, but without components."""
    known = plugins.load()[1]
    count = len(known)
    known += [plugins.Plugin(name, "1.0", module=module) for name, module in found.items()]
    try:
        yield
    finally:
        del known[count:]
