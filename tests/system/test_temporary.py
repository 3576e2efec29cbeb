"""Temporary files of killed processes are removed, those of running ones are not."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from v2skit.system import atomic, temporary
from v2skit.system.atomic import atomic_write, write_text
from v2skit.system.temporary import private_folder, remove_abandoned, temporary_file, temporary_folder

WRITER = """
import sys, time
from pathlib import Path
from v2skit.system.temporary import temporary_file, temporary_folder
kind, path = sys.argv[1:]
with {"file": temporary_file, "folder": temporary_folder}[kind](Path(path)) as part:
    (part if kind == "file" else part / "content").write_text("unfinished")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def each_folder_again():
    temporary._remove_abandoned_once.cache_clear()


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_only_what_killed_processes_left_is_removed(tmp_path, kind):
    target = tmp_path / "speech.wav"
    running = subprocess.Popen([sys.executable, "-c", WRITER, kind, target], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout.readline() == "writing\n"
        (part,) = names(tmp_path)
        write_text(target, "ours")
        assert names(tmp_path) == [part, "speech.wav"]
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait(20)
        running.stdout.close()
    write_text(target, "again")  # in the same process folders are not searched again
    assert names(tmp_path) == [part, "speech.wav"]
    temporary._remove_abandoned_once.cache_clear()
    write_text(target, "by the next process")
    assert names(tmp_path) == ["speech.wav"] and target.read_text() == "by the next process"


def test_those_of_other_hosts_are_kept(tmp_path, monkeypatch):
    for node in ("node7", "node8"):
        temporary._host_part.cache_clear()
        monkeypatch.setattr(temporary, "host", lambda node=node: node)
        (tmp_path / f".x.v2skit{temporary._host_part()}-01234567.part").touch()
    remove_abandoned(tmp_path)
    temporary._host_part.cache_clear()
    (left,) = names(tmp_path)
    monkeypatch.setattr(temporary, "host", lambda: "node7")
    remove_abandoned(tmp_path)
    temporary._host_part.cache_clear()
    assert left.startswith(".x.v2skit-") and not names(tmp_path)


def test_files_of_others_are_kept(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/thesis.tex").touch()
    (tmp_path / ".link.v2skit-01234567.part").symlink_to(tmp_path / "elsewhere")
    for name in (".x.part", "x.part", "x.v2skit-01234567.part", ".x.v2skit-0123456.part", ".x.v2skit-01234567.part.gz"):
        (tmp_path / name).touch()
    before = names(tmp_path)
    remove_abandoned(tmp_path)
    assert names(tmp_path) == before and (tmp_path / "elsewhere/thesis.tex").exists()


def test_nothing_is_removed_where_the_file_system_has_no_locks(tmp_path, monkeypatch):
    def flock(descriptor: int, operation: int) -> None:
        raise OSError("no locks available")

    (tmp_path / ".x.v2skit-01234567.part").touch()
    monkeypatch.setattr(temporary.fcntl, "flock", flock)
    write_text(tmp_path / "x", "text")
    assert names(tmp_path) == [".x.v2skit-01234567.part", "x"]
    monkeypatch.undo()
    remove_abandoned(tmp_path)
    assert names(tmp_path) == ["x"]


def test_a_file_that_is_removed_before_it_is_locked_is_created_again(tmp_path, monkeypatch):
    lock, removed = temporary._lock, []

    def slow(part):
        if not removed:
            removed.append(part)
            remove_abandoned(tmp_path)
        return lock(part)

    monkeypatch.setattr(temporary, "_lock", lambda part: slow(part) if not removed else lock(part))
    with temporary_file(tmp_path / "x") as part:
        assert part.exists() and part != removed[0] and not removed[0].exists()


def test_writers_of_one_file_at_once(tmp_path):
    path, start = tmp_path / "x", threading.Barrier(8)

    def write(number: int) -> None:
        for _ in range(20):
            with atomic_write(path) as part:
                if not start.broken:
                    start.wait(10)
                part.write_text(f"{number}" * 1000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = path.read_text()
    assert text == text[0] * 1000 and names(tmp_path) == ["x"]


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "人" * 85, os.fsdecode(b"\xff" * 255)])
def test_names_as_long_as_the_file_system_allows(tmp_path, name):
    write_text(tmp_path / name, "text")
    assert names(tmp_path) == [name]


def test_errors_name_the_file(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"Not a directory: '.*/file/x'$"), temporary_file(tmp_path / "file/x"):
        pass
    with pytest.raises(FileNotFoundError, match=r"/absent/x'$"), temporary_folder(tmp_path / "absent/x"):
        pass


def test_rights_are_those_of_other_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = os.umask(0o027)
    try:
        atomic.write_text(tmp_path / "x", "text")
        assert (tmp_path / "x").stat().st_mode & 0o777 == 0o640
        with temporary_folder(tmp_path / "y") as folder, private_folder("z") as private:
            assert (folder.stat().st_mode & 0o777, private.stat().st_mode & 0o777) == (0o750, 0o700)
        assert names(tmp_path) == ["x"]
    finally:
        os.umask(before)
