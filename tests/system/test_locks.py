"""Locks name who holds them, or that the file system has none; where locks are of one host, records of others count."""

import errno
import os
import socket
import subprocess
import sys

import pytest

from v2skit.errors import UserError
from v2skit.system import locks
from v2skit.system.atomic import exclusive_lock, waiting_lock
from v2skit.system.locks import Locked

KILLED = """
import os, signal, sys
from pathlib import Path
from v2skit.system import locks
from v2skit.system.atomic import exclusive_lock
locks.host = lambda: sys.argv[2]
with exclusive_lock(Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(folder, host: str) -> None:
    """A process on a host is killed while it holds the lock of a folder."""
    done = subprocess.run([sys.executable, "-c", KILLED, folder, host], timeout=60, check=False)
    assert done.returncode < 0


@pytest.mark.parametrize(
    "line",
    [
        "31 1 {} / /home rw shared:1 - nfs server:/home rw,vers=3,local_lock=all,addr=10.0.0.1",
        "31 1 {} / /home rw - nfs server:/home rw,nolock,vers=3",
        "31 1 {} / /home rw - lustre mds@tcp:/home rw,localflock,lazystatfs",
        "31 1 {} / /home rw - fuse.sshfs user@server: rw,user_id=0",
    ],
)
def test_a_lock_of_another_host_holds_where_locks_are_of_one_host(tmp_path, monkeypatch, line):
    folder, device = tmp_path / "train", tmp_path.stat().st_dev
    monkeypatch.setattr(locks, "_mounts", lambda: [line.format(f"{os.major(device)}:{os.minor(device)}")])
    killed(folder, "node7")
    lock = tmp_path / ".train.lock"
    for locked in (exclusive_lock, waiting_lock):
        with pytest.raises(Locked, match=f"process [0-9]+ on node7 is at work in .*or was killed.*delete {lock} if it"):
            locked(folder).__enter__()
    lock.unlink()
    with exclusive_lock(folder):
        assert lock.read_text() == f"{os.getpid()} {locks.host()}\n"
    assert lock.read_text() == ""
    killed(folder, locks.host())
    with exclusive_lock(folder):
        pass


def test_elsewhere_the_lock_of_a_killed_process_is_free(tmp_path):
    killed(tmp_path / "train", "node7")
    with exclusive_lock(tmp_path / "train"), pytest.raises(Locked, match="another process is at work in"):
        exclusive_lock(tmp_path / "train").__enter__()


@pytest.mark.parametrize("locked", [exclusive_lock, waiting_lock])
def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch, locked):
    def flock(opened: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    with pytest.raises(UserError, match="file system has no locks .Function not implemented.; use a folder") as raised:
        locked(tmp_path / "train").__enter__()
    assert not isinstance(raised.value, Locked)


def test_lock_files_that_are_others_are_not_touched(tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    (tmp_path / ".a.lock").symlink_to("thesis.tex")
    os.mkfifo(tmp_path / ".b.lock")
    (tmp_path / ".c.lock").mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / ".d.lock"))
        for name in "abcd":
            with pytest.raises((UserError, OSError), match=rf"\.{name}\.lock"):
                exclusive_lock(tmp_path / name).__enter__()
    assert (tmp_path / "thesis.tex").read_text() == "all of it"
