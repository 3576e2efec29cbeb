"""``plugins:`` of a config: the paths of plug-in files -> the files, or their copies in an experiment."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from v2skit.config.check import check
from v2skit.config.messages import shortened
from v2skit.errors import UserError
from v2skit.registry.files import PluginFile, read_file

KEY = "plugins"


@dataclass(frozen=True)
class Copies:
    """Copies of plug-in files, which an experiment keeps: used instead of files that no longer exist.

    Args:
        folder: of the copies.
        preferred: those of files that were trained with are also used instead of files that were changed.
        note: called with a sentence about each copy that is used.
    """

    folder: Path
    preferred: bool = False
    note: Callable[[str], object] = print

    def path(self, name: str, trained: bool) -> Path:
        """The copy of a file: of one that was trained with, or of one with data, trackers or scores only."""
        return self.folder / name if trained else self.folder / "others" / name

    def chosen(self, path: Path) -> Path:
        """The copy, or the file itself."""
        copies = [self.path(path.name, trained) for trained in (True, False)]
        copy = next((copy for copy in copies if copy.is_file()), None)
        if copy is None:
            return path
        if not path.exists():
            self.note(f"note: plug-in file {path} does not exist; its copy {copy} is used")
            return copy
        if self.preferred and copy == copies[0] and read_file(copy) != read_file(path):
            self.note(f"note: plug-in file {path} was changed since the training; its copy {copy} is used")
            return copy
        return path


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
            file = read_file(copies.chosen(path) if copies else path)
        except UserError as error:
            raise UserError(f"{source}: {KEY}: {error}", key=KEY, source=source) from error
        if found.setdefault(file.name, file) != file:
            raise UserError(
                f"{source}: {KEY}: two different files are called {file.name}; rename one of the two",
                key=KEY, source=source,
            )  # fmt: skip
    return list(found.values())


def needed(tree: dict, origins: Container[str]) -> dict:
    """A stored config without the plug-in files that none of its components come from, such as hooks of a training."""
    return {**tree, KEY: [file for file in tree[KEY] if file["name"] in origins]} if tree.get(KEY) else tree


def stored_files(tree: Any, source: str) -> list[PluginFile]:
    """The plug-in files in a stored config. Raises UserError where they are damaged."""
    stored = tree.get(KEY) if isinstance(tree, dict) else None
    return check(stored, list[PluginFile], source, path=KEY) if stored else []
