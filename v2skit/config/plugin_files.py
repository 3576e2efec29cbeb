"""``plugins:`` of a config: the paths of plug-in files -> the files, or their copies in an experiment."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from v2skit.config.check import check
from v2skit.config.messages import shortened
from v2skit.config.plain import fault
from v2skit.errors import UserError
from v2skit.registry.files import PluginFile, read_file
from v2skit.registry.trust import is_trusted

KEY = "plugins"


@dataclass(frozen=True)
class Copies:
    """Copies of plug-in files, which an experiment keeps: used instead of files that no longer exist.

    An experiment may be somebody else's, and nothing in its folder proves the contrary; so a copy is used only where it
    is trusted, see :mod:`v2skit.registry.trust`.

    Args:
        folder: of the copies.
        preferred: those of files that were trained with are also used instead of files that were changed.
        note: called with a sentence about each copy that is used.
        used: the copies that are used.
    """

    folder: Path
    preferred: bool = False
    note: Callable[[str], object] = print
    used: list[PluginFile] = field(default_factory=list)

    def path(self, name: str, trained: bool) -> Path:
        """The copy of a file: of one that was trained with, or of one with data, trackers or scores only."""
        return self.folder / name if trained else self.folder / "others" / name

    def chosen(self, path: Path) -> PluginFile:
        """The file, or its copy.

        Raises:
            UserError: the file can't be read; or its copy is needed, and that is not trusted.
        """
        copies = [self.path(path.name, trained) for trained in (True, False)]
        copy = next((copy for copy in copies if copy.is_file()), None)
        if copy and not path.exists():
            return self._copy(path, copy, "does not exist")
        file = read_file(path)
        if self.preferred and copy == copies[0] and read_file(copy) != file:
            return self._copy(path, copy, "was changed since the training")
        return file

    def _copy(self, path: Path, copy: Path, why: str) -> PluginFile:
        file = read_file(copy)
        if not is_trusted(file):
            raise UserError(
                f"plug-in file {path} {why}; restore it, or, if you trust where its copy {copy} comes from, use that "
                "with --trust-plugins"
            )
        self.note(f"note: plug-in file {path} {why}; its copy {copy} is used")
        self.used.append(file)
        return file


def add_paths(tree: dict, paths: Any, folder: Path, source: str) -> None:
    """Add the plug-in files that a config or ``--set`` names to those of its bases; all of them are loaded.

    Args:
        tree: of the config.
        paths: what it names, relative to ``folder``.
        folder: of the config.
        source: of the paths, for messages.

    Raises:
        UserError: they are no list of paths.
    """
    if not isinstance(paths, list) or not all(isinstance(path, str) and path.isprintable() for path in paths):
        message = f"expected a list of paths of Python files, e.g. [my_decoder.py], not {shortened(paths)}"
        raise UserError(f"{source}: {KEY}: {message}", key=KEY, source=source)
    tree[KEY] = list(dict.fromkeys([*tree.get(KEY, []), *(str(folder / path) for path in paths)]))


def read_files(paths: Iterable[str], source: str, copies: Copies | None = None) -> list[PluginFile]:
    """The plug-in files at paths, each once. Raises UserError where one can't be read, or two have one name."""
    found: dict[str, PluginFile] = {}
    for path in map(Path, paths):
        try:
            file = copies.chosen(path) if copies else read_file(path)
            _check_characters(file, path)
        except UserError as error:
            raise UserError(f"{source}: {KEY}: {error}", key=KEY, source=source) from error
        if found.setdefault(file.name, file) != file:
            raise UserError(
                f"{source}: {KEY}: two different files are called {file.name}; rename one of the two",
                key=KEY, source=source,
            )  # fmt: skip
    return list(found.values())


def _check_characters(file: PluginFile, path: Path) -> None:
    """Raises UserError where a plug-in file has characters that no stored config has."""
    for number, line in enumerate(file.source.split("\n"), 1):
        if fault(line)[1]:
            raise UserError(
                f"line {number} of plug-in file {path} has a control character or a surrogate; delete it, or in a "
                "string write it as an escape such as \\x1b"
            )


def needed(tree: dict, origins: Container[str]) -> dict:
    """A stored config without the plug-in files that none of its components come from, such as hooks of a training."""
    return {**tree, KEY: [file for file in tree[KEY] if file["name"] in origins]} if tree.get(KEY) else tree


def stored_files(tree: Any, source: str) -> list[PluginFile]:
    """The plug-in files in a stored config. Raises UserError where they are damaged."""
    stored = tree.get(KEY) if isinstance(tree, dict) else None
    return check(stored, list[PluginFile], source, path=KEY) if stored else []
