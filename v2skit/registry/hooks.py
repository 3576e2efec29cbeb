"""The extension interface. A plug-in is a module with any of these functions, marked ``@v2skit.hookimpl``,
that its package names under the entry-point group ``v2skit``, or a file that a config names under ``plugins:``. The
built-in components use the same hook."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
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


# The hooks below are called while the toolkit works, by all plug-ins in the order of their registration, see
# v2skit/registry/events.py. ``run`` is a v2skit.training.run_hooks.Run; each process of a training calls them.


@hookspec
def training_started(run: Any) -> None:
    """A training run starts or resumes; ``run`` has name, folder, task, config, device and rank."""


@hookspec
def process_batch(batch: Any, task: str) -> Any:
    """Change a training batch, on the device, before its forward pass. Returns a :class:`v2skit.data.batch.Batch`.

    Torch's random generators are seeded for (seed, step, batch): what draws from them is the same after resuming.
    ``task`` is ``a2a``, ``v2a`` or ``vocoder``. Validation batches are not changed.
    """


@hookspec
def step_finished(run: Any, step: int, values: dict[str, float]) -> None:
    """``step`` optimiser steps are taken; ``values`` are those that are logged, and empty in a step that is not."""


@hookspec
def validated(run: Any, step: int, values: dict[str, float]) -> None:
    """A validation after ``step`` steps gave these losses; its checkpoint is written."""


@hookspec
def training_ended(run: Any, status: str) -> None:
    """A run that started has ended: ``finished``, ``interrupted`` or ``failed``."""


@hookspec
def report_section(exp: Path) -> str | None:
    """Markdown at the end of ``results.md`` of an experiment's folder, or None; ``results.json`` is written already."""
