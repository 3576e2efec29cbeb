"""The models of folds where a data directory has the clips of another one, and what they start from is a pack."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.cases.model import untrained_run
from v2skit.config.load import load_config
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.pack_header import Card
from v2skit.models.package import pack
from v2skit.recipes import folds
from v2skit.recipes.folds import fold_recipes, held_out, train_folds
from v2skit.recipes.recipe import Recipe
from v2skit.recipes.subsets import write_share
from v2skit.recipes.trained_on import trained_on
from v2skit.recipes.voices import write_voices


def experiment(exp: Path, pretrain: str = "audio", **more) -> Path:
    """An experiment with runs of A2A and V2A, which was pre-trained on one data directory. Returns the run of V2A."""
    exp.mkdir(parents=True)
    for task in ("a2a", "v2a"):
        untrained_run(exp, task=task)
    for path in exp.glob("*/*/meta.json"):
        meta = json.loads(path.read_text())
        meta["config"] |= {**more, "data": {**meta["config"]["data"], "train": "train", "pretrain": [pretrain]}}
        path.write_text(json.dumps(meta))
    return exp / "finetune"


def recipe_of(tiny: Path, folder: Path, predictor: Path, train: str) -> Recipe:
    config = load_config(tiny, [f"predictor={predictor}", "predictor_folds=2", f"data.train={train}"])
    return Recipe(config, folder, folder / "exp/av2a", False, torch.device("cpu"))


@pytest.mark.parametrize(
    ("pretrain", "train"), [("train", "train_0.6"), ("train_0.6", "train"), ("train_0.3", "train_0.6")]
)
def test_a_fold_is_pretrained_without_its_clips_also_where_one_directory_is_a_subset(
    pretrain, train, recipe_folder, tiny
):
    data = recipe_folder / "data"
    for share in (0.3, 0.6):
        write_share(data / "train", share, data / f"train_{share}")
    recipe = recipe_of(tiny, recipe_folder, experiment(recipe_folder / "exp/mel", pretrain), train)
    found: list[Recipe] = []

    def trained(fold: Recipe) -> Path:
        found.append(fold)
        return fold.exp

    train_folds(recipe, trained)
    for number, fold in enumerate(found):
        clips = {clip.id for clip in held_out(recipe, number)}
        assert clips and fold.config.pretrained is None
        (name,) = fold.config.data.pretrain
        known = {clip.id for clip in read_manifest(data / name)}
        assert known == {clip.id for clip in read_manifest(data / pretrain)} - clips
        assert {clip.id for clip in read_manifest(data / fold.config.data.train)} == {
            clip.id for clip in read_manifest(data / train)
        } - clips
    shutil.rmtree(data / pretrain)  # then there is nothing but names to compare
    assert all(fold.config.pretrained for fold in fold_recipes(recipe))


def test_utterances_that_share_a_video_have_no_folds(recipe_folder, tiny):
    pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")
    write_voices(recipe_folder / "data/train", [130], None, recipe_folder / "data/voices")
    recipe = recipe_of(tiny, recipe_folder, experiment(recipe_folder / "exp/mel", "train"), "voices")
    with pytest.raises(UserError, match="voices has utterances that share a video, .* one utterance of each video"):
        train_folds(recipe, lambda fold: fold.exp)


def test_initial_weights_of_a_directory_with_the_same_clips_are_refused(recipe_folder, tiny):
    data = recipe_folder / "data"
    write_share(data / "train", 0.6, data / "train_0.6")
    first = experiment(recipe_folder / "exp/first")
    run = experiment(recipe_folder / "exp/second", parts={"encoder": {"init": str(first)}}, transfer={})
    with pytest.raises(UserError, match=r"has parts.encoder.init .*, which was trained on train, so that"):
        folds._check_start(recipe_of(tiny, recipe_folder, run, "train_0.6"))
    shutil.rmtree(first.parent)
    with pytest.raises(UserError, match=r"has parts.encoder.init .* can't be checked, since .*/first.* can't be read"):
        folds._check_start(recipe_of(tiny, recipe_folder, run, "train_0.6"))


def test_a_pack_has_its_pretraining_data_and_no_path_of_another_experiment(recipe_folder, tiny, tmp_path):
    run, packed = experiment(recipe_folder / "exp/first"), recipe_folder / "packs/exp/model.v2s"
    pack(run, packed, None, Card())
    experiment(recipe_folder / "other", "valid")
    (recipe_folder / "other/pretrain").rename(recipe_folder / "packs/pretrain")
    found = trained_on(packed)
    assert found == trained_on(checkpoint.best(run)) and found.directories == {"audio", "train"} and not found.unknown
    second = experiment(recipe_folder / "exp/second", parts={"encoder": {"init": str(packed)}}, transfer={})
    with pytest.raises(UserError, match="which was trained on audio, so that"):
        folds._check_start(recipe_of(tiny, recipe_folder, second, "audio"))


def test_what_a_pack_was_initialised_with_by_a_path_is_not_known(recipe_folder, tiny, tmp_path, monkeypatch):
    first = experiment(recipe_folder / "exp/first")
    run = experiment(recipe_folder / "exp/second", pretrained=str(first.parent))
    packed = recipe_folder / "model.v2s"
    pack(run, packed, None, Card())
    experiment(recipe_folder / "here/first", "valid")  # another one at the path that the pack has
    monkeypatch.chdir(recipe_folder / "here")
    found = trained_on(packed)
    assert found.directories == {"train"} and len(found.unknown) == 1 and "first" in min(found.unknown)
    third = experiment(recipe_folder / "exp/third", parts={"encoder": {"init": str(packed)}}, transfer={})
    with pytest.raises(UserError, match=r"has parts.encoder.init .*can't be checked, since .* can't be read; restore"):
        folds._check_start(recipe_of(tiny, recipe_folder, third, "valid"))
