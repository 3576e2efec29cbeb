"""All checks of a plug-in, as findings: contracts of its components, bfloat16, export, documentation."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from v2skit.config.load import check_component
from v2skit.errors import UserError, suggestion
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.registry.files import read_file
from v2skit.registry.kinds import arguments
from v2skit.registry.plugins import Plugin
from v2skit.registry.registry import Entry
from v2skit.testing import examples
from v2skit.testing.aspects import Finding, aspect, collected
from v2skit.testing.components import EXPORTED, INPUTS, check_contract
from v2skit.testing.modules import check_bfloat16, check_export

IMPORTS_TORCH = 3
"""Exit status of a process that loads the hooks of a plug-in; what these print does not matter."""


def check_plugin(name: str) -> list[Finding]:
    """Check a plug-in's components, built with the defaults of their arguments.

    Args:
        name: of an installed plug-in, or the path of a plug-in file.

    Returns:
        what is wrong, none where all is well.

    Raises:
        UserError: there is no such plug-in, or its file can't be read.
    """
    files = [read_file(Path(name))] if name.endswith(".py") else []
    findings: list[Finding] = []
    with plugins.using(files):
        plugin = _plugin(files[0].name if files else name)
        with collected(f"plug-in {plugin.name}", findings):
            with aspect("import", ends=True):
                assert not plugin.error, f"it is broken: {plugin.error}"
            if not files:
                with aspect("start"):
                    _check_start(plugin)
        for entry in components(plugin):
            _check_entry(entry, findings)
    return findings


def components(plugin: Plugin) -> list[Entry]:
    """The components that a plug-in registers."""
    return [entry for entry in plugins.registry().entries() if entry.origin == plugin.name]


def _plugin(name: str) -> Plugin:
    found = {plugin.name: plugin for plugin in plugins.loaded()[1] if plugin.name != "v2skit"}
    if name not in found:
        raise UserError(
            f"there is no plug-in '{name}'; install its package, or give the path of a plug-in file"
            f"{suggestion(name, found)}"
        )
    return found[name]


def _check_entry(entry: Entry, findings: list[Finding]) -> None:
    """Add what is wrong with a component to the findings."""
    with collected(f"{entry.kind} {entry.name}", findings), tempfile.TemporaryDirectory() as folder:
        with aspect("import", ends=True):
            component = entry.load()
        with aspect("docs"):
            check_documented(entry.kind, component)
        with aspect("build", ends=True):
            choice = check_component(entry.kind, {"type": entry.name}, "without arguments")
            make = partial(build, entry.kind, choice, **examples.given(entry.kind, Path(folder)))
            built = make()
        check_contract(entry.kind, make, Path(folder))
        if entry.kind in INPUTS:
            with aspect("bfloat16"):
                check_bfloat16(built, *INPUTS[entry.kind](built))
        if entry.kind in EXPORTED:
            with aspect("export"):
                check_export(built, *INPUTS[entry.kind](built))


def check_documented(kind: str, component: type) -> None:
    """Raises AssertionError where a component has no docstring, or that lacks one of its arguments."""
    text = inspect.cleandoc(component.__doc__ or "")
    assert text, "the class has no docstring"
    missing = [name for name in arguments(kind, component) if not re.search(rf"^ +{name}\b.*: \S", text, re.MULTILINE)]
    assert not missing, f"its docstring does not describe {', '.join(missing)}"


def _check_start(plugin: Plugin) -> None:
    """Raises AssertionError where loading the hooks fails, or imports torch, which slows each command by seconds."""
    code = f"import sys, {plugin.module}; sys.exit({IMPORTS_TORCH} if 'torch' in sys.modules else 0)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=env)
    assert found.returncode != IMPORTS_TORCH, "importing its hooks imports torch, for which each command waits"
    why = (found.stderr.strip().splitlines() or [f"exit status {found.returncode}"])[-1]
    assert found.returncode == 0, f"importing its hooks in a new process fails: {why}"
