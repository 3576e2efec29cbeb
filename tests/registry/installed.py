"""Plug-ins that are installed for a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import v2skit
from v2skit.registry import plugins


class Stops:
    """A plug-in whose hook fails after a step of a training."""

    def __init__(self, step: int) -> None:
        self.step = step

    @v2skit.hookimpl
    def step_finished(self, step: int) -> None:
        if step == self.step:
            raise RuntimeError(f"stopped after step {step}")


@contextmanager
def installed(**found: Any) -> Iterator[None]:
    """Plug-ins by name: objects or modules with hooks, but without components."""
    known = plugins.load()[1]
    count = len(known)
    known += [plugins.Plugin(name, "1.0", hooks=plugins._hooks(module, name)) for name, module in found.items()]
    try:
        yield
    finally:
        del known[count:]
