"""Shares of a data directory, and training on them."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import yaml

from tests.conftest import ROOT, make_d_vectors, make_data, stages
from tests.miniatures import clip
from v2skit.cli.main import main
from v2skit.data.data_dir import read_manifest, read_settings
from v2skit.data.targets import state_digest
from v2skit.errors import UserError
from v2skit.models.speakers import d_vector, stored_vectors
from v2skit.recipes.stored_streams import content_digest
from v2skit.recipes.subsets import check_source, write_share, write_subset

IDS = [f"s1-{name}" for name in ("bbaf1a", "bbaf1n", "bbaf1p", "bbaf8s", "bbat4a")]
"""GRID's split: three for training, one each for validation and the test."""


def embed(utterances, rate):
    """Of each utterance, a d-vector at random."""
    random = np.random.default_rng(0)
    return ((u.id, random.standard_normal(stored_vectors.DIM)) for u in utterances)


def test_a_larger_share_contains_every_smaller_one_and_names_the_same_files(tmp_path):
    whole = make_data(tmp_path / "train", 12, video=False)
    assert "12 of the 12 utterances" in write_share(tmp_path / "train", 1.0, tmp_path / "1")
    parts = []
    for share in (0.3, 0.6):
        write_share(tmp_path / "train", share, tmp_path / str(share))
        parts.append(read_manifest(tmp_path / str(share)))
        below = {u.id for u in whole if hashlib.sha256(f"share {u.id}".encode()).digest()[:4] < _bytes(share)}
        assert {u.id for u in parts[-1]} == below
        digest = state_digest([content_digest(tmp_path / "train"), "share", share])
        content = content_digest(tmp_path / "train")
        record = {"subset_of": {"directory": "../train", "content": content, "share": share}}
        assert read_settings(tmp_path / str(share)) == {**read_settings(tmp_path / "train"), "digest": digest, **record}
        assert sorted(path.name for path in (tmp_path / str(share)).iterdir()) == [
            "settings.json", "text", "utt2num_frames", "utt2spk", "wav.scp",
        ]  # fmt: skip
    small, large = ([replace(u, audio=u.audio.resolve()) for u in part] for part in parts)
    assert small and all(utterance in large for utterance in small) and len(small) < len(large) < 12
    assert all(utterance in whole for utterance in large), "they have the same audio, text and speaker"


def _bytes(share: float) -> bytes:
    return int(share * 2**32).to_bytes(4, "big")


def test_a_share_that_is_there_is_kept_and_one_that_was_interrupted_is_written(tmp_path, capsys):
    make_data(tmp_path / "train", 12, video=False)
    (tmp_path / ".train_0.5.part").mkdir()
    (tmp_path / ".train_0.5.part/strange").touch()
    command = ["data", "subset", str(tmp_path / "train"), "--share", "0.5"]
    assert main(command) == 0
    (tmp_path / "train_0.5/own").touch()
    assert main(command) == 0 and (tmp_path / "train_0.5/own").exists()
    first, again = capsys.readouterr().out.splitlines()
    count = len(read_manifest(tmp_path / "train_0.5"))
    assert first == again and f"train_0.5: {count} of the 12 utterances" in first and first.endswith("2 speakers")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".train_0.5.lock", "train", "train_0.5"]


def test_what_is_no_share_is_refused_and_nothing_is_written(tmp_path, capsys):
    make_data(tmp_path / "train", 12, video=False)
    for directory, share, out, message in (
        ("train", "0", "new", "share 0 must be above 0 and at most 1"),
        ("train", "1.5", "new", "share 1.5 must be above 0"),
        ("train", "nan", "new", "share nan must be above 0"),
        ("train", "1e-6", "new", "share of 1e-06 has none of the 12 utterances"),
        ("none", "0.5", "new", "none is not a prepared data directory (no utt2num_frames); stage 1 makes it"),
        ("train", "0.5", "train", "train exists, and is not made from"),
        ("train", "0.5", "train/audio", "audio exists, and is not made from"),
    ):
        options = ["--share", share, "--out", str(tmp_path / out)]
        assert main(["data", "subset", str(tmp_path / directory), *options]) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists() and len(read_manifest(tmp_path / "train")) == 12
    write_share(tmp_path / "train", 0.5, tmp_path / "half")
    make_data(tmp_path / "train", 11, video=False)  # prepared again
    assert main(["data", "subset", str(tmp_path / "train"), "--share", "0.5", "--out", str(tmp_path / "half")]) == 1
    remedy = f"rm -r {tmp_path}/half && v2skit data subset {tmp_path}/train --share 0.5 --out {tmp_path}/half"
    assert f"other clips or files now; write it again: {remedy}" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["old/train", "disk/train"])
def test_a_share_moves_with_its_source_and_a_share_of_it(tmp_path, place):
    for folder in ("old", "new"):
        (tmp_path / folder).mkdir()
    make_data(tmp_path / place, 12, video=False)
    if place != "old/train":
        (tmp_path / "old/train").symlink_to(tmp_path / place)
    write_share(tmp_path / "old/train", 0.6, tmp_path / "old/more")
    write_share(tmp_path / "old/more", 0.3, tmp_path / "old/deep/less")
    (tmp_path / "old").rename(tmp_path / "new/data")
    for name in ("more", "deep/less"):
        utterances = read_manifest(tmp_path / "new/data" / name)
        assert utterances and all(u.audio.is_file() and u.audio.stem == u.id for u in utterances)
        check_source(tmp_path / "new/data" / name)
    before = (tmp_path / "new/data/more/wav.scp").stat()
    write_share(tmp_path / "new/data/train", 0.6, tmp_path / "new/data/more")
    assert (tmp_path / "new/data/more/wav.scp").stat() == before


def test_a_subset_in_a_data_folder_that_is_a_link_has_its_files(tmp_path):
    make_data(tmp_path / "disk/deep/data/train", 6, video=False)
    (tmp_path / "data").symlink_to(tmp_path / "disk/deep/data")
    write_subset(tmp_path / "data/train", tmp_path / "data/fold", lambda utterances: utterances[:3], [0])
    utterances = read_manifest(tmp_path / "data/fold")
    assert len(utterances) == 3 and all(u.audio.is_file() for u in utterances)
    check_source(tmp_path / "data/fold")


def test_a_share_whose_source_changed_is_neither_trained_on_nor_synthesised(recipe_folder, tiny, capsys):
    data = recipe_folder / "data"
    write_share(data / "train", 0.6, data / "train_0.6")
    write_share(data / "train_0.6", 0.5, data / "less")
    write_share(data / "test", 0.9, data / "test_0.9")
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", sets=("scratch=false",)) == 0
    text = (data / "train/text").read_text()
    for name in ("train", "test"):
        (data / name / "text").write_text((data / name / "text").read_text().replace("BIN", "LAY"))
    capsys.readouterr()
    for stage, change, source in (
        ("finetune", "data.train=train_0.6", "train"),
        ("finetune", "data.train=less", "train"),
        ("synth", "data.test=test_0.9", "test"),
    ):
        assert stages(recipe_folder, tiny, stage, sets=("scratch=false", change), more=("--force",)) == 1
        assert f"is made from {data / source}, which has other clips" in capsys.readouterr().err
    with pytest.raises(UserError, match="train_0.6 is made from .* v2skit data subset"):
        write_share(data / "train_0.6", 0.5, data / "new")
    settings = {k: v for k, v in read_settings(data / "train_0.6").items() if k != "subset_of"}
    (data / "train_0.6/settings.json").write_text(json.dumps(settings))
    check_source(data / "train_0.6")  # of an earlier version
    (data / "train/text").write_text(text)
    write_share(data / "train", 0.6, data / "train_0.6")
    assert read_settings(data / "train_0.6") == settings
    (data / "test").rename(data / "gone")
    with pytest.raises(UserError, match="no prepared data directory any more"):
        check_source(data / "test_0.9")


def test_speakers_of_shares_are_prepared_and_linked_for_validation_and_the_test(recipe_folder, tiny, monkeypatch):
    monkeypatch.setattr(d_vector, "_embed", embed)
    data = recipe_folder / "data"
    for name in ("valid", "test"):
        write_share(data / name, 0.9, data / f"{name}_own")
    for folder in (data / name for name in ("audio", "train", "valid", "test")):
        make_d_vectors(folder)
    sets = ("networks.speaker={type: d_vector}", "data.valid=valid_own", "data.test=test_own", "scratch=false")
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", "synth", sets=sets) == 0
    for name in ("valid_own", "test_own"):
        assert (data / name / stored_vectors.TRAINING).read_text() == "../train\n"


def test_d_vectors_that_stage_1_lacks_are_not_computed_in_training(recipe_folder, tiny, monkeypatch, capsys):
    monkeypatch.setattr(d_vector, "_embed", embed)
    (recipe_folder / "data/audio/prepared_with.json").write_text("{}")
    assert stages(recipe_folder, tiny, "pretrain", sets=("networks.speaker={type: d_vector}",)) == 1
    assert "audio has no d-vectors; stage 1 of its recipe computes them" in capsys.readouterr().err
    assert not (recipe_folder / "data/audio/d_vector.ark").exists()


def test_a_share_is_trained_on_as_any_data_directory(recipe_folder, tiny, monkeypatch, capsys):
    monkeypatch.setattr(d_vector, "_embed", embed)
    for folder in (recipe_folder / "data").iterdir():
        make_d_vectors(folder)
    for name, share in (("train", 0.6), ("test", 0.9)):
        write_share(recipe_folder / "data" / name, share, recipe_folder / f"data/{name}_{share}")
    sets = ("networks.speaker={type: d_vector}", "data.train=train_0.6", "data.test=test_0.9", "scratch=false")
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", "synth", sets=sets) == 0
    exp = recipe_folder / "exp/tiny"
    record = yaml.safe_load((exp / "finetune/config.yaml").read_text())
    digest = read_settings(recipe_folder / "data/train_0.6")["digest"]
    assert record["made_from"]["data"]["train_0.6"] == digest
    clips = (recipe_folder / "data/train_0.6/d_vector_clips").read_text().split()
    assert {u.id for u in read_manifest(recipe_folder / "data/train_0.6")} == {*clips} - {"s0", "s1"}
    capsys.readouterr()
    assert main(["audit", str(exp), "--work_dir", str(recipe_folder), "--clips", "1"]) == 0, capsys.readouterr()


def test_preparation_and_its_check_leave_a_share_as_it_is(tmp_path, capsys):
    for name in IDS:
        clip(tmp_path / f"grid/{name.replace('-', '/')}.mp4")
    config = {"base": str(ROOT / "egs/grid/conf/mel.yaml"), "corpus": {"corpus_dir": "grid"}, "prepare": {"jobs": 1}}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**config, "tracker": {"type": "none"}}))
    assert stages(tmp_path, tmp_path / "own.yaml", "prepare") == 0
    share = tmp_path / "data/s1/train_0.2"
    write_share(tmp_path / "data/s1/train", 0.2, share)
    before = {path.name: path.read_bytes() for path in share.iterdir()}
    assert stages(tmp_path, tmp_path / "own.yaml", "prepare", sets=("data.train=s1/train_0.2",)) == 0
    assert {name: (share / name).read_bytes() for name in before} == before
    sets = ["--set", "data.train=s1/train_0.2", "--set", "data.pretrain=[s1/train]"]
    assert main(["data", "check", "--config", str(tmp_path / "own.yaml"), "--work_dir", str(tmp_path), *sets]) == 0
    report = json.loads((tmp_path / "data/check.json").read_text())
    assert report["directories"]["s1/train_0.2"]["utterances"] == 2
    assert not [warning for warning in report["warnings"] if warning.startswith("s1/train, s1/train_0.2")]
