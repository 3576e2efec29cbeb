"""Checkpoints are complete or absent, contain no pickles, and their damage is named."""

import dataclasses
import hashlib
import json
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
    digests = {"digest": checkpoint.weights_digest(made.averaged), "files": again.meta.files}
    assert again.meta == dataclasses.replace(made.meta, **digests)
    assert again.meta.files.keys() == {checkpoint.WEIGHTS, checkpoint.OPTIMISER}
    assert torch.equal(again.weights["x"], made.weights["x"]) and torch.equal(again.averaged["x"], torch.ones(3))
    assert torch.equal(again.optimiser["state"][0], torch.ones(2))
    assert checkpoint.config_of(again.meta) == load_config(folder.parents[1] / "tiny.yaml")


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.OPTIMISER, checkpoint.META])
def test_truncated_checkpoint(saved, name):
    path = saved[1] / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="is damaged|not a complete checkpoint") as error:
        checkpoint.load(saved[1], optimiser=True)
    assert str(saved[1]) in str(error.value)


def test_the_digest_is_that_of_the_weights_that_inference_uses(saved, tmp_path):
    made, folder = saved
    assert (
        checkpoint.digest(folder) == checkpoint.weights_digest(made.averaged) != checkpoint.weights_digest(made.weights)
    )
    plain = tmp_path / "plain"
    checkpoint.save(dataclasses.replace(made, averaged=None), plain)
    assert checkpoint.digest(plain) == checkpoint.load(plain).meta.digest == checkpoint.weights_digest(made.weights)


def test_names_types_shapes_and_bytes_make_the_digest():
    x = torch.arange(4.0)
    others = [{"y": x}, {"x": x.half()}, {"x": x.reshape(2, 2)}, {"x": x + 1}, {"x": x, "y": x}, {"x": x.bfloat16()}]
    digests = [checkpoint.weights_digest(weights) for weights in [{"x": x}, *others]]
    assert len(set(digests)) == len(digests)
    both = {"x": x, "y": torch.tensor(1)}
    assert checkpoint.weights_digest(both) == checkpoint.weights_digest(dict(reversed(both.items())))
    assert checkpoint.weights_digest({"x": x.reshape(2, 2).T}) == checkpoint.weights_digest(
        {"x": torch.tensor([[0.0, 2], [1, 3]])}
    )


@pytest.mark.parametrize("name", [checkpoint.WEIGHTS, checkpoint.AVERAGED])
def test_damaged_weights_are_named(saved, tmp_path, name):
    folder = saved[1]
    if name == checkpoint.WEIGHTS:
        folder = tmp_path / "plain"
        checkpoint.save(dataclasses.replace(saved[0], averaged=None), folder)
    content = bytearray((folder / name).read_bytes())
    content[-1] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(
        UserError, match=f"{name} is damaged: its weights do not match their digest; delete this"
    ) as error:
        checkpoint.load(folder)
    assert error.value.fields["path"] == folder / name


def test_a_checkpoint_of_an_earlier_version_is_identified_by_its_file(saved):
    """As its experiment's records identify it."""
    meta, weights = saved[1] / checkpoint.META, saved[1] / checkpoint.WEIGHTS
    tree = json.loads(meta.read_text())
    del tree["digest"]
    meta.write_text(json.dumps(tree))
    wanted = hashlib.sha256(weights.read_bytes()).hexdigest()[:12]
    assert checkpoint.digest(saved[1]) == checkpoint.load(saved[1]).meta.digest == wanted


@pytest.mark.parametrize("part", ["weights", "optimiser"])
def test_full_disk_keeps_the_previous_checkpoint(saved, part):
    made, folder = saved
    big = {"x": torch.zeros(100_000)}
    replaced = dataclasses.replace(made, **{part: big if part == "weights" else {"state": big}})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))  # as on a disk that is nearly full
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


def test_speakers_of_the_largest_corpora(tiny, tmp_path):
    speakers = [f"common_voice-{number}" for number in range(90_000)]
    meta = checkpoint.new_meta(load_config(tiny), "a2a", speakers, step=1)
    folder = checkpoint.folder_of(tmp_path / "run", 1)
    checkpoint.save(checkpoint.Checkpoint(meta, {"x": torch.zeros(1)}), folder)
    assert checkpoint.load(folder).meta.speakers == speakers
