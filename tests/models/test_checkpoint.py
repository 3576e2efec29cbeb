"""Checkpoints are whole or not there, hold no pickles, and say what is wrong with them."""

import dataclasses
import resource

import pytest
import torch

from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.models import checkpoint


@pytest.fixture
def saved(tiny, tmp_path):
    meta = checkpoint.new_meta(load_config(tiny), "v2a", ["a"], step=3, position=(1, 2))
    made = checkpoint.Checkpoint(meta, {"x": torch.arange(3.0)}, {"x": torch.ones(3)}, {"state": {0: torch.ones(2)}})
    folder = checkpoint.folder_of(tmp_path / "run", 3)
    checkpoint.save(made, folder)
    return made, folder


def test_round_trip(saved):
    made, folder = saved
    again = checkpoint.load(folder, optimiser=True)
    assert again.meta == made.meta
    assert torch.equal(again.weights["x"], made.weights["x"]) and torch.equal(again.averaged["x"], torch.ones(3))
    assert torch.equal(again.optimiser["state"][0], torch.ones(2))
    assert checkpoint.config_of(again.meta) == load_config(folder.parents[1] / "tiny.yaml")


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.OPTIMISER, checkpoint.META])
def test_truncated_checkpoint(saved, name):
    path = saved[1] / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="damaged or incomplete|not a whole checkpoint") as error:
        checkpoint.load(saved[1], optimiser=True)
    assert str(saved[1]) in str(error.value)


@pytest.mark.parametrize("part", ["weights", "optimiser"])
def test_full_disk_keeps_the_previous_checkpoint(saved, part):
    made, folder = saved
    big = {"x": torch.zeros(100_000)}
    replaced = dataclasses.replace(made, **{part: big if part == "weights" else {"state": big}})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # stands for the disk's last bytes
    try:
        with pytest.raises(UserError, match="can't be written: .*; free some disk space"):
            checkpoint.save(replaced, checkpoint.folder_of(folder.parent, 6))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert checkpoint.latest(folder.parent) == folder
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]
    assert checkpoint.load(folder, optimiser=True).meta.step == 3


def test_keeps_the_newest_and_the_best(saved, tiny):
    run, config = saved[1].parent, load_config(tiny)
    for step, total in ((6, 0.5), (9, 0.2), (12, 0.4)):
        meta = checkpoint.new_meta(config, "v2a", [], step=step, valid={"total": total})
        checkpoint.save(checkpoint.Checkpoint(meta, {"x": torch.zeros(1)}), checkpoint.folder_of(run, step))
        checkpoint.prune(run)
    assert [p.name[-2:] for p in checkpoint.all_checkpoints(run)] == ["09", "12"]
    assert checkpoint.best(run).name.endswith("09") and checkpoint.latest(run).name.endswith("12")
