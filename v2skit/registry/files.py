"""Plug-in files, which a recipe's config names: their source, which is saved with what was made with them."""

from __future__ import annotations

import hashlib
import linecache
import pickle
import re
import sys
import traceback
import types
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from v2skit.errors import UserError
from v2skit.registry.failure import failure

DIGEST_LENGTH = 12
"""Hexadecimal digits of a digest, which is shown and recorded; whether two files are the same, all 64 tell."""
MAX_BYTES = 1_000_000


@dataclass(frozen=True)
class PluginFile:
    """A Python file with hooks, as an installed plug-in has them. It is self-contained: it imports installed packages,
    and none of its neighbours.

    Args:
        name: of the file, without its folder; the origin of its components.
        digest: of the source, shortened.
        source: its text.

    Raises:
        UserError: the source does not match the digest.
    """

    name: str
    digest: str
    source: str = field(repr=False)

    def __post_init__(self) -> None:
        if digest_of(self.source) != self.digest:
            raise UserError(
                f"source: that of plug-in {self.name} does not match its digest {self.digest}; restore the file that "
                "was damaged or changed by hand",
                key="source",
            )

    @property
    def sha256(self) -> str:
        """The SHA-256 of the source; other content is another plug-in."""
        return _sha256(self.source)

    @property
    def module_name(self) -> str:
        """The name of its module, which no other content has."""
        return f"{re.sub('[^0-9A-Za-z_]', '_', self.name.removesuffix('.py'))}_{self.sha256}"

    def module(self) -> types.ModuleType:
        """Its module, executed once in a process. Raises UserError, with the line, where that fails."""
        if self.module_name in sys.modules:
            return sys.modules[self.module_name]
        module = types.ModuleType(self.module_name)
        place = f"<plug-in {self.name} {self.digest}>"
        module.__file__ = place
        # Tracebacks show this source, whatever is in the file by then.
        linecache.cache[place] = (len(self.source), None, self.source.splitlines(keepends=True), place)
        sys.modules[self.module_name] = module  # before it is executed: dataclasses and pickle look it up
        try:
            exec(compile(self.source, place, "exec", dont_inherit=True), vars(module))
        except BaseException as error:  # it may fail in any way, or call sys.exit()
            del sys.modules[self.module_name]
            raise UserError(f"plug-in {self.name} can't be loaded: {failure(error)}{_line(error, place)}") from error
        _executed[self.module_name] = self
        return module


class Portable:
    """An object for another process, in which the modules of plug-in files are executed before it is unpickled.

    Args:
        value: the object; it may be of classes of plug-in files that this process has executed.
    """

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (tuple(_executed.values()), pickle.dumps(self.value))


_executed: dict[str, PluginFile] = {}
"""The plug-in files of this process, by the names of their modules."""


def _unpickled(files: tuple[PluginFile, ...], pickled: bytes) -> Portable:
    for file in files:
        file.module()
    return Portable(pickle.loads(pickled))


def read_file(path: Path) -> PluginFile:
    """A plug-in file. Raises UserError where it is no Python file, or can't be read."""
    if path.suffix != ".py":
        raise UserError(f"{path} is no Python file; name a file that ends in .py, or install a package as a plug-in")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        source = content.decode("utf-8-sig").replace("\r\n", "\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"plug-in file {path} can't be read: {reason}; correct its path or restore it") from error
    if len(content) > MAX_BYTES:
        raise UserError(f"plug-in file {path} is larger than {MAX_BYTES / 1e6:g} MB; name another file")
    return PluginFile(path.name, digest_of(source), source)


def digest_of(source: str) -> str:
    """A short hash of a plug-in's source."""
    return _sha256(source)[:DIGEST_LENGTH]


def check_unchanged(
    before: Iterable[PluginFile], now: Iterable[PluginFile], what: str, but: Iterable[str] = ()
) -> None:
    """Compare the plug-in files that something was made with, with those of the config.

    Args:
        before: at that time.
        now: of the config.
        what: was made with them, for messages.
        but: names of files that may change.

    Raises:
        UserError: a file has other content now.
    """
    found = {file.name: file for file in now}
    for file in before:
        if file.name not in but and found.get(file.name, file).sha256 != file.sha256:
            raise UserError(
                f"{what} was made with another version of plug-in {file.name} (digest {file.digest}, now "
                f"{found[file.name].digest}); restore the file, give another --exp, or repeat the stage that made it "
                "with --force",
                plugin=file.name,
            )


def _sha256(source: str) -> str:
    return hashlib.sha256(source.encode("utf-8", "surrogatepass")).hexdigest()


def _line(error: BaseException, place: str) -> str:
    """The line of a plug-in file that raised an error, for its message."""
    if isinstance(error, SyntaxError) and error.filename == place:
        return ""  # it says so itself
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == place]
    return f" (line {lines[-1]})" if lines else ""
