"""Lock files: a lock of the operating system, and a record of which process of which host holds it.

Some network file systems give locks that hold on one host only: there, a lock that another host has recorded and not
cleared is taken for held.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from v2skit.errors import UserError

RECORD_BYTES = 400

_HOST_ONLY = re.compile(r" - (9p|vboxsf|fuse\.\S+) |[ ,](local_lock=(flock|all)|nolock|localflock|nobrl)\b")
"""In a line of ``mountinfo``: types and options of file systems whose locks other hosts do not see."""


class Locked(UserError):
    """Another process holds the lock."""


def host() -> str:
    """The name of this host in the network."""
    return os.uname().nodename


def holder(path: Path) -> str:
    """Which process a lock file records, such as ``process 12 on node7``; empty where it records none."""
    with suppress(OSError), path.open("rb") as file:
        record = file.read(RECORD_BYTES).decode("utf-8", "replace")
        if found := re.fullmatch(r"(\d+) (\S+)\n", record):
            return f"process {found[1]} on {found[2]}"
    return ""


@contextmanager
def lock_file(path: Path, what: Path, wait: bool) -> Iterator[None]:
    """Lock a file, which is created where there is none and stays, for this process.

    Args:
        path: of the lock file.
        what: is locked by it, for messages.
        wait: for other processes that hold the lock; it says so.

    Raises:
        Locked: another process holds the lock.
        UserError: the file system has no locks.
    """
    what.parent.mkdir(parents=True, exist_ok=True)
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            raise UserError(f"{path} is no lock file; move it away", path=path)
        _acquire(opened, path, what, wait)
        _record(opened, f"{os.getpid()} {host()}\n")
        try:
            yield
        finally:
            _record(opened, "")
    finally:
        os.close(opened)


def _acquire(opened: int, path: Path, what: Path, wait: bool) -> None:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        if not wait:
            raise Locked(f"another process is at work in {what}; wait until it is done", path=what) from error
        print(f"another process is at work in {what}; waiting until it is done")
        fcntl.flock(opened, fcntl.LOCK_EX)
    except OSError as error:
        raise UserError(
            f"{what} can't be locked, as its file system has no locks ({error.strerror}); use a folder on another, or "
            "mount it with locks (Lustre: -o flock)",
            path=what,
        ) from error
    process, _, other = os.pread(opened, RECORD_BYTES, 0).decode("utf-8", "replace").strip().partition(" ")
    if other not in ("", host()) and _holds_on_one_host(opened):
        raise Locked(
            f"process {process} on {other} is at work in {what}, or was killed there; wait until it is done, or delete "
            f"{path} if it no longer runs",
            path=what,
        )


def _record(opened: int, text: str) -> None:
    with suppress(OSError):  # a full disk
        os.ftruncate(opened, 0)
        os.pwrite(opened, text.encode(), 0)


def _holds_on_one_host(opened: int) -> bool:
    """Whether other hosts do not see the locks of an open file."""
    device = os.fstat(opened).st_dev
    return any(
        line.split(" ", 3)[2] == f"{os.major(device)}:{os.minor(device)}" and _HOST_ONLY.search(line)
        for line in _mounts()
    )


def _mounts() -> list[str]:
    """The lines of Linux's ``mountinfo``, proc(5)."""
    try:
        return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
