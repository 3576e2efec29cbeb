"""The compiled index has the content of the current tables, and its memory is shared by processes."""

import multiprocessing
import os
import pickle
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import make_data
from v2skit.data import index as module
from v2skit.data.data_dir import Utterance, read_manifest, write_manifest
from v2skit.data.index import NAME, Joined, open_index
from v2skit.errors import UserError


def write(directory: Path, count: int = 20, start: int = 0) -> list[Utterance]:
    """Tables only; every third utterance has no video, every fifth no text."""
    made = []
    for number in range(start, start + count):
        name, speaker = f"s{number % 3}-é{number:04d}", f"s{number % 3}"
        video = None if number % 3 == 0 else directory / f"video/{name}.mp4"
        text = None if number % 5 == 0 else f"WORD  {number}\u2028次"
        made.append(Utterance(name, speaker, 10 + number * 7 % 11, Path(f"/sound/{name}.flac"), video, text))
    write_manifest(directory, made, {})
    return sorted(made, key=lambda u: u.id)


def test_the_index_has_the_content_of_the_tables(tmp_path):
    made = write(tmp_path)
    index = open_index(tmp_path)
    assert list(index) == made == read_manifest(tmp_path) and len(index) == 20
    assert index.speakers == ["s0", "s1", "s2"]
    assert index.frames.tolist() == [u.frames for u in made]
    assert index.lacking == {"audio": (0, None), "video": (7, made[0].id)}
    assert (np.diff(index.frames[index.runs.order]) >= 0).all()
    assert index.frames[index.runs.order[index.runs.firsts]].tolist() == index.runs.lengths.tolist()
    for number in (-1, 20):
        with pytest.raises(IndexError):
            index[number]


def test_tables_in_any_order(tmp_path):
    made = write(tmp_path)
    for name in ("wav.scp", "utt2num_frames"):
        lines = (tmp_path / name).read_text().splitlines()
        (tmp_path / name).write_text("\n".join(lines[::-1]))
    assert list(open_index(tmp_path)) == made


def test_compiled_once(tmp_path, monkeypatch):
    write(tmp_path)
    open_index(tmp_path)
    monkeypatch.setattr(module, "write_index", None)
    assert len(open_index(tmp_path)) == 20
    assert {p.name for p in tmp_path.iterdir() if p.name.startswith((".", "index"))} == {NAME}


def test_moves_with_its_directory(tmp_path, monkeypatch):
    write(tmp_path / "a")
    open_index(tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    monkeypatch.setattr(module, "write_index", None)
    assert open_index(tmp_path / "b")[19].video.is_relative_to(tmp_path / "b")


@pytest.mark.parametrize("name", ["wav.scp", "video.scp", "text", "utt2spk", "utt2num_frames"])
def test_stale_where_any_table_changed(tmp_path, name):
    write(tmp_path)
    before = list(open_index(tmp_path))
    path = tmp_path / name
    text = path.read_text().replace("1\n", "2\n").replace("1.", "2.").replace("WORD", "WARD")
    path.write_text(text)  # of the same size, at once
    after = list(open_index(tmp_path))
    assert after == read_manifest(tmp_path) and after != before


def test_stale_where_a_table_is_deleted(tmp_path):
    write(tmp_path)
    open_index(tmp_path)
    (tmp_path / "text").unlink()
    assert not any(u.text for u in open_index(tmp_path))


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"",
        lambda whole: whole[:-1],
        lambda whole: whole[:100],
        lambda whole: bytes(len(whole)),
        lambda whole: whole.replace(b'"format": 2', b'"format": 1'),
        lambda whole: whole.replace(b'"frames": ["<i4", 20', b'"frames": ["<i4", 9\x7f'),
    ],
    ids=["empty", "cut", "cut in the header", "zeros", "other format", "other header"],
)
def test_damaged_is_compiled_again(tmp_path, damage):
    made = write(tmp_path)
    open_index(tmp_path)
    path = tmp_path / NAME
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    assert list(open_index(tmp_path)) == made and path.read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("wav.scp", "stranger x.flac\n", r"wav.scp: 'stranger' is not in utt2num_frames \(1 such lines\)"),
        ("utt2num_frames", "zlonely 5\n", r"utt2spk: no line for 'zlonely' \(1 such utterances\)"),
        ("text", "novalue\n", "text:17: no value"),
        ("utt2spk", "s0-é0000 again\n", "utt2spk:21: 's0-é0000' is a duplicate"),
        ("utt2num_frames", "zz 0\n", "no line for 'zz'"),
        ("text", "s0-é0000 \udcff\n", "is not UTF-8 text"),
    ],
)
def test_inconsistent_directories_are_errors_and_leave_nothing(tmp_path, name, line, message):
    write(tmp_path)
    with (tmp_path / name).open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.write(line)
    for read in (open_index, read_manifest):
        with pytest.raises(UserError, match=message):
            read(tmp_path)
    assert not [p for p in tmp_path.iterdir() if NAME in p.name]


@pytest.mark.parametrize("count", ["0", "x", "-3", str(2**31)])
def test_invalid_lengths_are_errors(tmp_path, count):
    write(tmp_path, 1)
    (tmp_path / "utt2num_frames").write_text(f"s0-é0000 {count}\n")
    with pytest.raises(UserError, match="is no number of frames"):
        open_index(tmp_path)


def test_empty_and_missing_directories(tmp_path):
    write_manifest(tmp_path, [], {})
    for _ in range(2):
        index = open_index(tmp_path)
        assert list(index) == [] and index.speakers == [] and len(index.runs.order) == 0
    with pytest.raises(UserError, match="stage 1 makes it"):
        open_index(tmp_path / "none")


def test_pickled_by_name_and_version(tmp_path):
    made = write(tmp_path, 500)
    index = open_index(tmp_path)
    pickled = pickle.dumps(index)
    assert len(pickled) < 1000 and list(pickle.loads(pickled)) == sorted(made, key=lambda u: u.id)
    write(tmp_path, 400)
    open_index(tmp_path)
    assert len(index) == 500 and index[499] == made[499]  # an open index does not change
    with pytest.raises(UserError, match="changed while it was in use"):
        pickle.loads(pickled)


def _length(index, number: int, queue) -> None:
    queue.put(index[number].id)


def test_can_be_passed_to_spawned_processes(tmp_path):
    index = open_index(make_data(tmp_path, video=False)[0].audio.parents[1])
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=_length, args=(index, 3, queue))
    process.start()
    assert queue.get() == index[3].id
    process.join()


def test_processes_that_start_at_once_compile_once(tmp_path, monkeypatch):
    write(tmp_path)
    compiled, real = [], module.write_index
    monkeypatch.setattr(module, "write_index", lambda *given: (compiled.append(1), real(*given)))
    threads = [threading.Thread(target=open_index, args=(tmp_path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(compiled) == 1


@pytest.fixture
def closed():
    """A data directory that this process may only read."""
    with tempfile.TemporaryDirectory() as folder:
        made = write(Path(folder) / "data")
        Path(folder).chmod(0o755)
        (Path(folder) / "data").chmod(0o555)
        user = os.geteuid()
        if user == 0:  # may write everywhere
            os.seteuid(65534)
        yield Path(folder) / "data", made
        if user == 0:
            os.seteuid(0)
        (Path(folder) / "data").chmod(0o755)


def test_read_only_directories_are_compiled_elsewhere(closed, monkeypatch, capsys):
    directory, made = closed
    with tempfile.TemporaryDirectory() as cache:
        monkeypatch.setenv("XDG_CACHE_HOME", cache)
        index = open_index(directory)
        assert list(index) == made and index.path.is_relative_to(cache) and not (directory / NAME).exists()
        assert f"can't be written to {directory / NAME}" in capsys.readouterr().out
        assert list(open_index(directory)) == made and capsys.readouterr().out == ""
    monkeypatch.setenv("XDG_CACHE_HOME", str(directory))
    with pytest.raises(UserError, match="neither to .* nor to .*; make one of these folders writable"):
        open_index(directory)


def test_joined_indexes_are_numbered_consecutively(tmp_path):
    made = [*write(tmp_path / "a", 5), *write(tmp_path / "c", 3, start=50)]
    write_manifest(tmp_path / "b", [], {})
    joined = Joined([open_index(tmp_path / name) for name in "abc"])
    assert list(joined) == made and len(joined) == 8
    assert [joined.find(number)[0] for number in range(8)] == [0] * 5 + [2] * 3
    with pytest.raises(IndexError):
        joined[-1]


def test_opening_takes_no_private_memory(tmp_path):
    count = 100_000
    for name, value in (("utt2num_frames", "50"), ("utt2spk", "s"), ("text", "WORDS " * 20)):
        (tmp_path / name).write_text("".join(f"s-{number:08d} {value}\n" for number in range(count)))
    open_index(tmp_path)

    def private() -> int:
        with Path("/proc/self/smaps_rollup").open(encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Private_Dirty"))

    before = private()
    index = open_index(tmp_path)
    for number in range(0, count, 97):
        index[number]
    assert private() - before < 2000 and index.path.stat().st_size > 10_000_000
