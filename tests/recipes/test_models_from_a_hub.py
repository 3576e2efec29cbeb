"""A packed model on a hub in place of a run: what trainings take from it, what they record, and what is refused."""

from __future__ import annotations

import shutil

import pytest
import torch

from tests.cases.model import untrained_run
from tests.conftest import stages, vocoder_config
from tests.hub.hub_server import Repository, as_the_hub
from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_vocoder
from v2skit.models.pack_header import Card, read_header
from v2skit.models.package import pack
from v2skit.recipes.folds import fold_recipes
from v2skit.recipes.recipe import Recipe

pytest.importorskip("huggingface_hub", reason="huggingface_hub is missing; pip install 'v2skit[hub]'")

MODEL = "hf://me/model"


def test_a_pack_predicts_initialises_and_vocodes(recipe_folder, tiny, tmp_path, monkeypatch, capsys):
    exp, config, path = recipe_folder / "exp", vocoder_config(tmp_path, tiny), tmp_path / "model.v2s"
    assert stages(recipe_folder, config, "pretrain") == 0
    pack(untrained_run(exp), path, exp / "vocoder/pretrain", Card())
    shutil.rmtree(exp)  # nothing but the pack is needed
    digests = read_header(path).digest
    with as_the_hub(monkeypatch, tmp_path / "cache") as hub:
        repository = hub.repositories["me/model"] = Repository(commits=[{"model.v2s": path.read_bytes()}])
        pinned = f"{MODEL}@{repository.sha()}/model.v2s"
        tuned = (f"predictor={MODEL}", f"parts.generator.init={MODEL}")
        assert stages(recipe_folder, config, "pretrain", "finetune", sets=tuned) == 0
        meta = checkpoint.read_meta(checkpoint.best(exp / "vocoder/finetune"))
        assert meta.config["predictor"] == meta.config["parts"]["generator"]["init"] == pinned
        assert meta.predictor == digests["model"]
        assert f"parts.generator: {digests['vocoder']}" in (exp / "vocoder/pretrain/config.yaml").read_text()
        vocoded = load_config(tiny, [f"vocoder={{type: trained, run: {MODEL}}}"])
        assert build_vocoder(vocoded, "mel").digest == digests["vocoder"]

        started = (f"parts.encoder.init={MODEL}",)
        assert stages(recipe_folder, tiny, "pretrain", sets=started) == 0
        assert f"parts.encoder: {digests['model']}" in (exp / "tiny/pretrain/config.yaml").read_text()
        repository.commits.append({"model.v2s": path.read_bytes(), "README.md": b""})
        capsys.readouterr()
        assert stages(recipe_folder, tiny, "pretrain", sets=started) == 1
        error = capsys.readouterr().err
        assert "parts.encoder.init" in error and pinned in error and repository.sha() in error
        assert stages(recipe_folder, tiny, "pretrain", sets=(f"parts.encoder.init={pinned}",)) == 0

        for setting, message in (
            (f"pretrained={MODEL}", "is no audio-to-audio model; pretrained: give the experiment of a recipe whose"),
            (
                f"losses.words={{type: recognition, weight: 1, run: {MODEL}}}",
                "is of task v2a: no recogniser of audio; name a run of stage 2",
            ),
            (f"parts.audio_frontend.init={MODEL}", "is a model of task v2a without audio_frontend; its parts: "),
        ):
            capsys.readouterr()
            assert stages(recipe_folder, tiny, "pretrain", sets=(setting,), more=("--exp", str(exp / "new"))) == 1
            assert message in capsys.readouterr().err


def test_the_models_of_folds_need_the_experiment_of_their_predictor(tiny, tmp_path):
    path = tmp_path / "model.v2s"
    pack(untrained_run(tmp_path), path, None, Card())

    def folds(number: int) -> list[Recipe]:
        config = load_config(tiny, [f"predictor={path}", f"predictor_folds={number}"])
        return list(fold_recipes(Recipe(config, tmp_path, tmp_path / "exp", False, torch.device("cpu"))))

    assert folds(0) == []
    with pytest.raises(UserError, match="model.v2s is a packed model, without the pre-training .*; name the exp"):
        folds(2)
