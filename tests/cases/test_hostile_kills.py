"""Kills while folders are deleted or files written, and d-vectors of other clips: the next run leaves nothing stale.

Nothing of others is deleted.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from tests.conftest import make_data
from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.speakers import d_vector, stored_vectors
from v2skit.models.speakers.d_vector import DVector
from v2skit.preparation.prepare import PREPARED_WITH
from v2skit.preparation.prepare import _claim as claim
from v2skit.recipes import run_record
from v2skit.system import atomic, environment


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def killing(monkeypatch, rng: random.Random) -> None:
    """From now on the deletion of a folder ends after a random number of its files, in any order."""

    def rmtree(folder: Path, ignore_errors: bool = False) -> None:
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        rng.shuffle(files)
        if files:
            for path in files[: rng.randrange(len(files))]:
                path.unlink()
            raise Killed

    monkeypatch.setattr(atomic.shutil, "rmtree", rmtree)


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_prepare_force_is_no_foreign_folder(tmp_path, monkeypatch, seed):
    folder = tmp_path / "data/train"
    claim(folder, {"a": 1}, force=False)
    make_data(folder, count=2)
    with monkeypatch.context() as patched:
        killing(patched, random.Random(seed))
        with pytest.raises(Killed):
            claim(folder, {"a": 2}, force=True)
    claim(folder, {"a": 2}, force=False)
    assert [path.name for path in folder.iterdir()] == [PREPARED_WITH]
    assert [path.name for path in folder.parent.iterdir()] == ["train"]


def test_a_kill_while_a_folder_is_claimed_leaves_it_unused(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / f".{PREPARED_WITH}.part").write_text("{")
    claim(tmp_path / "train", {"a": 1}, force=False)
    assert (tmp_path / "train" / PREPARED_WITH).exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").touch()
    with pytest.raises(UserError, match="contains files that preparation did not write"):
        claim(tmp_path / "mine", {"a": 1}, force=False)
    assert (tmp_path / "mine/letter.txt").exists()


def test_a_link_to_a_folder_stays_one(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "train").symlink_to(tmp_path / "disk")
    claim(tmp_path / "train", {"a": 1}, force=False)
    (tmp_path / "disk/old").touch()
    claim(tmp_path / "train", {"a": 1}, force=True)
    assert (tmp_path / "train").is_symlink() and [p.name for p in (tmp_path / "disk").iterdir()] == [PREPARED_WITH]


@pytest.mark.parametrize("seed", range(8))
def test_a_killed_prune_leaves_nothing_after_the_next_one(tiny, tmp_path, monkeypatch, seed):
    run, config, rng = tmp_path / "run", load_config(tiny), random.Random(seed)
    for step, total in ((1, 0.5), (2, 0.4), (3, 0.1), (4, 0.2)):
        meta = checkpoint.new_meta(config, "v2a", [], step=step, valid={"total": total})
        made = checkpoint.Checkpoint(meta, {"x": torch.zeros(1)}, {"x": torch.ones(1)}, {"state": {}})
        checkpoint.save(made, checkpoint.folder_of(run, step))
    (run / ".checkpoint-00000009.part").mkdir()
    (run / ".checkpoint-00000009.part" / checkpoint.WEIGHTS).touch()  # of a kill while one was saved
    (run / "checkpoint-00000007").mkdir()
    (run / "checkpoint-00000007" / checkpoint.OPTIMISER).touch()  # of a kill of an earlier version
    (run / "checkpoint-mine").mkdir()
    (run / "checkpoint-mine/notes.txt").touch()
    with monkeypatch.context() as patched:
        killing(patched, rng)
        with pytest.raises(Killed):
            checkpoint.prune(run)
    assert checkpoint.latest(run).name.endswith("4") and checkpoint.best(run).name.endswith("3")
    for folder in checkpoint.all_checkpoints(run):
        checkpoint.load(folder, optimiser=True)
    checkpoint.prune(run)
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoint-00000003",
        "checkpoint-00000004",
        "checkpoint-mine",
    ]
    assert (run / "checkpoint-mine/notes.txt").exists()


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_restart_of_a_run_is_claimed_again(tiny, tmp_path, monkeypatch, seed):
    run, config = tmp_path / "run", load_config(tiny)
    run_record.claim(run, config, {}, force=False)
    (run / "samples").mkdir()
    for number in range(5):
        (run / f"samples/{number}.wav").touch()
    (run / "notes.txt").write_text("of somebody")
    with monkeypatch.context() as patched:
        killing(patched, random.Random(seed))
        with pytest.raises(Killed):
            run_record.claim(run, config, {}, force=True)
    run_record.claim(run, config, {}, force=False)
    assert sorted(path.name for path in run.iterdir()) == [run_record.NAME, environment.NAME, "notes.txt"]
    assert yaml.safe_load((run / run_record.NAME).read_text())["seed"] == config.seed
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["run"]


@pytest.fixture
def embedded(monkeypatch) -> list[list[str]]:
    """The ids of the clips of which d-vectors were computed, call by call."""
    calls: list[list[str]] = []

    def embed(utterances: list, rate: int) -> dict[str, np.ndarray]:
        calls.append([u.id for u in utterances])
        return ((name, np.ones(256)) for name in calls[-1])

    monkeypatch.setattr(d_vector, "_embed", embed)
    return calls


@pytest.mark.parametrize(
    "change", ["audio", "same size and time", "record", "archive", "table", "cut record", "pool", "killed"]
)
def test_d_vectors_are_of_the_content(embedded, tmp_path, monkeypatch, change):
    data = tmp_path / "data"
    made = make_data(data)
    DVector().prepare(data)
    DVector().prepare(data)
    assert len(embedded) == 1
    clip = made[0].audio
    if change == "audio":
        shutil.copy(made[1].audio, clip)
    elif change == "same size and time":
        content, stat = bytearray(clip.read_bytes()), clip.stat()
        content[-1] ^= 1
        clip.write_bytes(content)
        os.utime(clip, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    elif change in ("record", "archive", "table"):
        (data / {"record": d_vector.RECORD, "archive": "d_vector.ark", "table": "d_vector.scp"}[change]).unlink()
    elif change == "cut record":
        (data / d_vector.RECORD).write_text("")
    elif change == "killed":
        content = clip.read_bytes()
        shutil.copy(made[1].audio, clip)
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(stored_vectors, "write_text", _killed)
            DVector().prepare(data)
        clip.write_bytes(content)  # as before the kill
    DVector(pool=1 if change == "pool" else 100).prepare(data)
    assert len(embedded) == (3 if change == "killed" else 2)
    DVector(pool=1 if change == "pool" else 100).prepare(data)
    assert len(embedded) == (3 if change == "killed" else 2)


def _killed(path: Path, text: str) -> None:
    raise Killed
