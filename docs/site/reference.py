"""The pages of the reference, as reStructuredText: from the registry, the parser of the command line and docstrings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, get_origin

from v2skit.cli.main import _parser
from v2skit.cli.options import Commands
from v2skit.config import limits
from v2skit.registry import plugins
from v2skit.registry.kinds import Kind
from v2skit.registry.registry import Entry

MODULES = {
    "python": (
        "Python",
        "Load a model and synthesise speech.",
        ("v2skit.synthesis.synthesiser", "v2skit.synthesis.video", "v2skit.models.pack_header", "v2skit.errors"),
    ),
    "config": (
        "Config",
        "Every section of a config with its keys, types and defaults.",
        (
            "v2skit.config.schema", "v2skit.config.features", "v2skit.config.prepare", "v2skit.config.augmentation",
            "v2skit.config.corruption", "v2skit.config.parts", "v2skit.config.scoring", "v2skit.config.limits",
            "v2skit.config.load",
        ),
    ),
    "interfaces": (
        "Interfaces",
        "What components are given, what they output, and the hooks of plug-ins.",
        (
            "v2skit.registry.hooks", "v2skit.registry.component", "v2skit.data.batch", "v2skit.models.output",
            "v2skit.data.targets", "v2skit.corpora.corpus", "v2skit.tracking.tracker", "v2skit.evaluation.metrics",
            "v2skit.evaluation.asr", "v2skit.training.loggers.logger", "v2skit.training.run_hooks",
        ),
    ),
    "testing": (
        "Contract checks",
        "For the tests of your own components.",
        (
            "v2skit.testing.parts", "v2skit.testing.losses", "v2skit.testing.targets", "v2skit.testing.preparation",
            "v2skit.testing.scores", "v2skit.testing.loggers", "v2skit.testing.networks",
        ),
    ),
}  # fmt: skip
"""Name of a page -> (title, what it is about, modules)."""


LIMITS = [name for name, value in vars(limits).items() if get_origin(value) is Annotated]
"""Type hints of arguments with a range: ``Width``, ..."""


def write(folder: Path) -> None:
    """Write the pages that have changed, and remove those that are no more."""
    texts = pages()
    for path in folder.rglob("*.rst"):
        if path.relative_to(folder).as_posix() not in texts:
            path.unlink()
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """Name of a file -> its text."""
    registry = plugins.load()[0]
    built_in = {kind: [e for e in registry.entries(kind) if e.origin == "v2skit"] for kind in registry.kinds}
    targets = {entry.target for entries in built_in.values() for entry in entries}
    described: set[str] = set()
    return {
        "commands.rst": "\n".join(commands()),
        **{f"{name}.rst": "\n".join(modules(*page, targets)) for name, page in MODULES.items()},
        **{
            f"kinds/{kind}.rst": "\n".join(components(registry.kinds[kind], kind, entries, described))
            for kind, entries in built_in.items()
            if entries
        },
    }


def title(text: str, line: str = "=") -> list[str]:
    return [text, line * len(text), ""]


def modules(name: str, about: str, members: tuple[str, ...], targets: set[str]) -> Iterator[str]:
    """Modules with all that is public in them but components, which have pages of their own."""
    yield from [*title(name), about, ""]
    for module in members:
        yield from [*title(module, "-"), f".. automodule:: {module}", "   :members:"]
        left_out = sorted(target.partition(":")[2] for target in targets if target.startswith(f"{module}:"))
        yield from [f"   :exclude-members: {', '.join(left_out)}"] * bool(left_out)
        yield ""


def components(kind: Kind, name: str, entries: list[Entry], described: set[str]) -> Iterator[str]:
    """A kind with its components. A class that is of several kinds is in the index once."""
    yield from [*title(name), f"{kind.purpose}.", ""]
    if kind.given:
        yield from [f"Given by the toolkit: {', '.join(f'``{argument}``' for argument in kind.given)}.", ""]
    for entry in entries:
        component = entry.load()
        directive = "autoclass" if inspect.isclass(component) else "autofunction"
        yield from [*title(entry.name, "-"), f".. {directive}:: {entry.target.replace(':', '.')}"]
        yield from ["   :no-index:"] * (entry.target in described)
        yield ""
        described.add(entry.target)


def commands() -> Iterator[str]:
    """``--help`` of every command, with those of its subcommands."""
    yield from [*title("Commands"), "What ``v2skit COMMAND --help`` prints.", ""]
    parser = _parser()
    for name, command in parser.commands.choices.items():
        yield from title(f"v2skit {name}", "-")
        inner = [action for action in command._actions if isinstance(action, Commands)]
        for one in [command, *(sub for action in inner for sub in action.choices.values())]:
            yield from [".. code-block:: text", "", *(f"   {line}" for line in one.format_help().splitlines()), ""]
