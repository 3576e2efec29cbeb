"""Atomic writes and deletions: a file or folder is complete or absent, whatever interrupts these; exclusive locks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from v2skit.system.locks import lock_file
from v2skit.system.temporary import temporary_file


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A temporary file of this process in the same folder, to write to; if the block succeeds, it is flushed to the
    disk and replaces ``path``, else it is deleted.

    What is replaced is any file of that name, whoever wrote it, with its permissions; of a symbolic link the link, not
    the file that it points to; other hard links keep the former content. Callers check that it may be replaced.

    Raises:
        OSError: ``path`` is a folder, or the folder can't be written or is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_file(path) as part:
        yield part
        flush(part)
        part.replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")


def unfinished(path: Path) -> Path:
    """Where a folder is written before it is renamed to ``path``, by one process at a time: whoever calls this has
    locked it."""
    return path.with_name(f".{path.name}.part")


def flush(path: Path) -> None:
    """Flush a file to the disk: after a power failure a file that was only renamed may be empty."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def is_unused(folder: Path) -> bool:
    """Whether a folder is absent or has nothing in it but temporary files of interrupted writes."""
    return not folder.exists() or (
        folder.is_dir() and all(path.name.startswith(".") and path.suffix == ".part" for path in folder.iterdir())
    )


def delete_folder(folder: Path) -> None:
    """Delete a folder, if there is one, in one step: it is renamed first. :func:`finish_deletion` deletes what an
    interrupted deletion left. Of a symbolic link to a folder only the content is deleted."""
    finish_deletion(folder)
    target = folder.resolve()
    if not target.is_dir():
        return
    try:
        target.rename(_deleted(target))
    except OSError:  # a mount point, or a parent folder that can't be written
        shutil.rmtree(target, ignore_errors=True)
        return
    if folder.is_symlink():
        target.mkdir()
    finish_deletion(folder)


def finish_deletion(folder: Path) -> None:
    """Delete what an interrupted :func:`delete_folder` of this folder left."""
    shutil.rmtree(_deleted(folder.resolve()), ignore_errors=True)


IsOwn = Callable[[str], bool]
"""Name in a folder -> whether it may be deleted; what is of others is kept, whatever becomes of the folder."""


def set_aside(folder: Path, is_own: IsOwn) -> None:
    """Rename a folder, if there is one, until :func:`put_back` undoes that or :func:`delete_aside` deletes it; of one
    that can't be renamed the content is deleted. Of a symbolic link to a folder, that folder is renamed. What an
    interrupted repetition set aside is put back first, so that it is not lost."""
    put_back(folder, is_own)
    target = folder.resolve()
    if not target.is_dir():
        return
    try:
        target.rename(_aside(target))
    except OSError:  # as in delete_folder()
        for path in filter(lambda path: is_own(path.name), list(target.iterdir())):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()
        return
    if folder.is_symlink():
        target.mkdir()


def put_back(folder: Path, is_own: IsOwn) -> None:
    """Replace a folder, if it was set aside, by what it was before."""
    target = folder.resolve()
    if _aside(target).is_dir():
        _move_others(target, _aside(target), is_own)
        delete_folder(target)
        _aside(target).rename(target)


def delete_aside(folder: Path, is_own: IsOwn) -> None:
    """Delete what was set aside, in one step as :func:`delete_folder` does."""
    target = folder.resolve()
    if _aside(target).is_dir():
        _move_others(_aside(target), target, is_own)
        finish_deletion(target)
        _aside(target).rename(_deleted(target))
        finish_deletion(target)


def _move_others(source: Path, target: Path, is_own: IsOwn) -> None:
    """Move what is of others between folders, except what the target has too: that is of plug-ins."""
    for path in list(source.iterdir()) if source.is_dir() else []:
        if not is_own(path.name) and not os.path.lexists(target / path.name):
            target.mkdir(exist_ok=True)
            path.rename(target / path.name)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.replaced")


def _deleted(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.deleted")


def waiting_lock(path: Path) -> AbstractContextManager[None]:
    """Lock a path for this process, after all other processes that hold the lock; it says so where it waits. Raises
    UserError where the file system has no locks."""
    return lock_file(path.parent / f".{path.name}.lock", path, wait=True)


def exclusive_lock(folder: Path) -> AbstractContextManager[None]:
    """Lock a folder for this process. Raises Locked while another process holds the lock, UserError where the file
    system has no locks."""
    return lock_file(folder.parent / f".{folder.name}.lock", folder, wait=False)
