"""Temporary files and folders, each of one process, which locks it as long as it needs it: what killed processes left
has no lock, and is removed by the next process on the same host that writes into the same folder. Other hosts may not
see its locks, and leave it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from v2skit.system.locks import host

NAME_CHARACTERS = 50
"""So much of the name of the file or folder is in that of the temporary one; file systems limit its bytes."""

_NAME = re.compile(r"\..*\.v2skit(-[0-9a-f]{8})?-[0-9a-f]{8}\.part", re.DOTALL)
"""With the host's part, which earlier versions did not write."""


@contextmanager
def temporary_file(path: Path) -> Iterator[Path]:
    """An empty temporary file in the folder of ``path``, which is deleted if it still exists at the end.

    Raises:
        OSError: it can't be written; the error names ``path``.
    """
    with _locked(path, lambda part: part.touch(exist_ok=False)) as part:
        try:
            yield part
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def temporary_folder(path: Path, mode: int = 0o777) -> Iterator[Path]:
    """As :func:`temporary_file`, an empty folder with the permissions ``mode``."""
    with _locked(path, lambda part: part.mkdir(mode)) as part:
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextmanager
def private_folder(name: str) -> Iterator[Path]:
    """As :func:`temporary_folder`, in the folder of the system for these, for this user only."""
    with temporary_folder(Path(tempfile.gettempdir(), name), 0o700) as part:
        yield part


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files and folders of this user and host in a folder that no process has locked."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            found = _NAME.fullmatch(entry.name)
            if found and found[1] in (None, _host_part()):
                remove_unlocked(Path(entry.path))


def remove_unlocked(part: Path) -> None:
    """Remove a file or folder of this user that no process has locked."""
    with suppress(OSError):  # of another user, or on a file system without locks
        _remove(part)


@cache
def _host_part() -> str:
    """This host in the names of its temporary files."""
    return f"-{hashlib.sha256(host().encode()).hexdigest()[:8]}"


@cache
def _remove_abandoned_once(folder: Path) -> None:
    remove_abandoned(folder)


def _remove(part: Path) -> None:
    if part.is_symlink() or part.stat().st_uid != os.getuid():
        return
    lock = _lock(part)
    if lock is None:
        return
    try:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink()
    finally:
        os.close(lock)


@contextmanager
def _locked(path: Path, create: Callable[[Path], None]) -> Iterator[Path]:
    _remove_abandoned_once(path.parent.resolve())
    lock = None
    while lock is None:
        part = path.with_name(f".{path.name[:NAME_CHARACTERS]}.v2skit{_host_part()}-{uuid.uuid4().hex[:8]}.part")
        try:
            create(part)
        except OSError as error:
            raise type(error)(error.errno, error.strerror, os.fspath(path)) from error
        try:
            lock = _lock(part)  # None where remove_abandoned() of another process was quicker
        except OSError:  # a file system without locks, where none is removed either
            break
    try:
        yield part
    finally:
        if lock is not None:
            os.close(lock)


def _lock(part: Path) -> int | None:
    """A locked descriptor of a file or folder; None where another process has locked or removed it.

    Raises:
        OSError: it can't be opened, or its file system has no locks.
    """
    writable = os.O_RDONLY | os.O_DIRECTORY if part.is_dir() else os.O_RDWR  # NFS locks only what is writable
    try:
        descriptor = os.open(part, writable | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), part.lstat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
