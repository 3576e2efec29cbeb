"""Which code a stored config may run: a checkpoint of somebody else must not run theirs unnoticed.

A config file runs what it names, as a script does. A config that is read from a checkpoint runs the components of
v2skit, of installed plug-ins and of installed packages. It runs other code, which is the plug-in files that are saved
in it, classes of modules that no package installed, and classes by their path where their kind is that of a plug-in, so
that nothing tells its components from other classes, only where a config file of this process names the same code, or
the user trusts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from v2skit.errors import UserError
from v2skit.registry import direct
from v2skit.registry.component import Component
from v2skit.registry.files import PluginFile

_EVERYTHING: ContextVar[bool] = ContextVar("trust everything", default=False)
_named: set[str] = set()
"""SHA-256 of plug-in files, and paths of classes, that config files of this process name."""


@contextmanager
def trusting(everything: bool = True) -> Iterator[None]:
    """Within it, stored configs may run all code that they name."""
    token = _EVERYTHING.set(everything or _EVERYTHING.get())
    try:
        yield
    finally:
        _EVERYTHING.reset(token)


def trust(files: Iterable[PluginFile], paths: Iterable[str] = ()) -> None:
    """Allow the plug-in files and the classes that a config file names."""
    _named.update(file.sha256 for file in files)
    _named.update(paths)


def trusts_everything() -> bool:
    """Whether all code may run, as the user said."""
    return _EVERYTHING.get()


def is_trusted(file: PluginFile) -> bool:
    """Whether a plug-in file may run that no config file names, but a checkpoint or an experiment has in it."""
    return trusts_everything() or file.sha256 in _named


def check_trusted(files: Iterable[PluginFile], paths: Iterable[str], source: str) -> None:
    """Raises UserError, with the field ``untrusted``, where a stored config would run code that is not trusted."""
    codes = {file.sha256: f"the plug-in file {file.name} saved in it" for file in files}
    codes |= {path: f"the class {path} of no installed package" for path in paths if not direct.distribution(path)}
    _check(codes, source)


def check_classes(components: Iterable[Component], source: str) -> None:
    """As :func:`check_trusted`, for the classes by their path whose kinds have no check of a class."""
    found = [each for each in components if ":" in each.type and not direct.is_checked(each.kind)]
    _check({each.type: f"the class {each.type} as a {each.kind}, a kind of a plug-in" for each in found}, source)


def _check(codes: dict[str, str], source: str) -> None:
    """Raises UserError for the first code, identity -> its description, that is not trusted."""
    for identity, code in codes.items():
        if not trusts_everything() and identity not in _named:
            raise UserError(
                f"{source} runs {code}; if you trust where it comes from, give --trust-plugins (in Python, "
                "v2skit.load(..., trust_plugins=True))",
                untrusted=code,
            )
