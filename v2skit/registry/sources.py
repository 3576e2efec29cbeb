"""Digests of the Python sources of installed plug-ins: code that was edited in place keeps its version."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from v2skit.errors import UserError
from v2skit.registry import direct, plugins
from v2skit.registry.files import DIGEST_LENGTH


def digests(origins: Iterable[str]) -> dict[str, str]:
    """The installed plug-ins among the origins of components, and modules of no package -> digests of their sources.

    Plug-in files are not among them: their digest is their version. Of a distribution whose class a config names by its
    path, the version is enough, as of ``v2skit``.
    """
    known = {plugin.name: plugin for plugin in plugins.loaded()[1]}
    found = {}
    for origin in sorted({*origins} - {"v2skit"}):
        if origin not in known:
            modules = {origin} if direct.version(origin) == "" else set()
        else:
            targets = [entry.target for entry in plugins.registry().entries() if entry.origin == origin]
            modules = {path.partition(":")[0].partition(".")[0] for path in (known[origin].module, *targets)}
            modules = modules if known[origin].module else set()
        if digest := digest_of(frozenset(modules)):
            found[origin] = digest
    return found


def check_unchanged(before: Mapping[str, str], what: str) -> None:
    """Raises UserError where an installed plug-in has other sources than when something was made with it.

    Args:
        before: their digests at that time.
        what: was made with them, for messages.
    """
    now = digests(before)
    for name, digest in before.items():
        if now.get(name, digest) != digest:
            raise UserError(
                f"{what} was made with other sources of plug-in '{name}' (digest {digest}, now {now[name]}); restore "
                "them, give another --exp, or repeat the stage that made it with --force",
                plugin=name,
            )


def identities(origins: Iterable[str]) -> dict[str, str]:
    """The origins of components -> version, and digest of the sources where there is one."""
    found = digests(origins)
    return {name: f"{version} {found.get(name, '')}".strip() for name, version in plugins.versions(origins).items()}


def check_alike(found: Sequence[Mapping[str, str]]) -> None:
    """Raises UserError where processes have different plug-ins, as on machines with different installations.

    Args:
        found: the :func:`identities` in each process, by rank.
    """
    for rank, theirs in enumerate(found):
        for name, first in found[0].items():
            if theirs.get(name) != first:
                raise UserError(
                    f"rank {rank} has another version of plug-in '{name}' than rank 0 ({theirs.get(name)}, there "
                    f"{first}); install the same on all machines",
                    plugin=name,
                    rank=rank,
                )


@functools.cache
def digest_of(modules: frozenset[str]) -> str:
    """Of all Python files of top-level modules; empty where they have none."""
    found, count = hashlib.sha256(), 0
    for module in sorted(modules):
        try:
            spec = importlib.util.find_spec(module)
        except ValueError:  # a module that was not imported from a file
            continue
        folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
        files = [(str(path.relative_to(folder)), path) for folder in folders for path in folder.rglob("*.py")]
        if spec and not folders and spec.origin and spec.has_location:
            files = [(Path(spec.origin).name, Path(spec.origin))]
        for name, path in sorted(files):
            found.update(f"{module}/{name}\0".encode() + path.read_bytes() + b"\0")
            count += 1
    return found.hexdigest()[:DIGEST_LENGTH] if count else ""
