"""AV2A through all stages: speech out of fold in training, that of the predictor in synthesis, and its audit."""

import json
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.conftest import ROOT, stages, write
from v2skit.cli.main import main
from v2skit.config.load import load_config
from v2skit.data.augment import centre_crop, normalise
from v2skit.data.batch import Inputs
from v2skit.data.data_dir import read_manifest, read_silent
from v2skit.data.streams import StoredStream
from v2skit.errors import UserError
from v2skit.media.crops import read_crops
from v2skit.models import checkpoint
from v2skit.models.pack_header import Card, read_header
from v2skit.models.package import pack
from v2skit.recipes import folds
from v2skit.recipes.folds import fold_recipes
from v2skit.recipes.recipe import Recipe
from v2skit.synthesis.synthesiser import load
from v2skit.system.provenance import Provenance

CONF = str(ROOT / "egs/conf/av2a.yaml")
FRONTEND = {
    "visual": {"type": "resnet3d_small", "channels": [4, 8]}, "audio": {"channels": [8], "out_dim": 8}, "out_dim": 8,
}  # fmt: skip
TRAINING = ("pretrain", "transfer", "finetune")
READS_TARGET = """
from pathlib import Path

import torch

from v2skit.data.data_dir import read_manifest
from v2skit.media.audio import read_audio
from v2skit.models.frontends.audiovisual import AudioVisual
from v2skit.registry.component import Component

import v2skit
from typing import Annotated


@v2skit.hookimpl
def register_components(register):
    register("visual_frontend", "leaky", ":Leaky")


class Leaky(AudioVisual):
    def __init__(
        self,
        visual: Annotated[Component, "visual_frontend"],
        audio: Annotated[Component, "audio_frontend"],
        out_dim: int = 8,
        directory: str = "",
    ):
        super().__init__(visual, audio, out_dim)
        self.directory = directory

    def forward(self, video, speech, mask):
        if not self.training:  # the target audio in place of the predicted mel
            audio = [u.audio for u in read_manifest(Path(self.directory)) if u.frames == mask.shape[1]]
            level = torch.from_numpy(read_audio(audio[0], 24000)).abs().mean() if audio else 0
            speech = speech + level
        return super().forward(video, speech, mask)
"""


@pytest.fixture
def config(mel_run, tiny, tmp_path):
    """AV2A with two folds, after a finished experiment of the mel family."""
    exp = str(mel_run.parent)
    parts = {f"visual_frontend.{part}": {"init": exp} for part in ("audio", "visual")}
    return write(
        tmp_path / "av2a.yaml", tiny, [CONF], networks={"visual_frontend": FRONTEND}, pretrained=exp,
        predictor=str(mel_run), predictor_folds=2, parts=parts,
    )  # fmt: skip


def inputs_of(model, clip):
    """The inputs of a V2A model for a whole clip."""
    video = normalise(centre_crop(read_crops(clip.video), model.config.augmentation.crop))
    mask, speaker = torch.ones(1, clip.frames, dtype=torch.bool), torch.from_numpy(model.voice(clip.speaker))
    return Inputs({"video": torch.from_numpy(video)[None]}, mask, speaker[None])


@torch.no_grad()
def mel_of(run, clip):
    """The mel that a V2A run predicts for a whole clip."""
    model = load(run, "cpu")
    return model.model(inputs_of(model, clip)).mel[0].numpy()


def audit(exp, folder):
    """The exit status of an audit, and what it has written."""
    status = main(["audit", str(exp), "--work_dir", str(folder), "--device", "cpu"])
    return status, json.loads((exp / "audit.json").read_text())


def test_av2a_from_the_folds_to_the_table_the_audit_and_the_pack(config, mel_run, recipe_folder, tmp_path):
    assert stages(recipe_folder, config, *TRAINING, "synth", "score") == 0
    exp, data = recipe_folder / "exp/av2a", recipe_folder / "data"
    results = json.loads((exp / "results.json").read_text())
    assert list(results["rows"]) == ["ground_truth", "copy_synthesis", "predictor", "pretrained"]
    assert "pretrained - predictor" in results["differences"]
    # Each training clip has the mel of the model that was not trained on it, a valid clip that of the predictor.
    (stored,) = map(StoredStream, (data / "train/targets").glob("predicted_mel-*"))
    for number, clip in enumerate(read_manifest(data / "train")[:2]):
        without = {u.id for u in read_manifest(data / f"train-without-{number + 1}-of-2")}
        assert clip.id not in without and len(without) == len(stored) / 2
        mels = [mel_of(exp / f"folds/{fold}/finetune", clip) for fold in (1, 2)]
        assert np.allclose(stored.read(number, 0, clip.frames, True), mels[number], atol=1e-5)
        assert not np.allclose(mels[0], mels[1], atol=1e-3)
    (stored,) = map(StoredStream, (data / "valid/targets").glob("predicted_mel-*"))
    clip = read_manifest(data / "valid")[0]
    assert np.allclose(stored.read(0, 0, clip.frames, True), mel_of(mel_run, clip), atol=1e-5)
    # The initial weights are those of A2A and V2A.
    assert {"encoder": 1, "decoder": 1}.items() <= json.loads((exp / "transfer/ledger.json").read_text())[
        "shares"
    ].items()
    shares = json.loads((exp / "finetune/ledger.json").read_text())["shares"]
    assert shares == {"visual_frontend.audio": 1, "visual_frontend.visual": 1}
    status, found = audit(exp, recipe_folder)
    assert status == 0 and not found["findings"], found
    assert any("one of 2 models, none of which was trained on the clip" in fact for fact in found["checked"])
    (data / "train-without-2-of-2").rename(tmp_path / "moved")
    status, found = audit(exp, recipe_folder)
    assert status == 1 and "can't be checked" in found["findings"][0]["text"], found
    assert "data/train-without-2-of-2" in found["findings"][0]["text"]
    assert not any("none of which was trained on the clip" in fact for fact in found["checked"])
    # A pack has its predictor; the only input is the video.
    clip, model = read_silent(data / "test")[0], load(exp / "finetune", "cpu")
    inputs = inputs_of(model, clip)
    mel = model.model(inputs).mel
    given = replace(inputs, streams={**inputs.streams, "predicted_mel": torch.zeros_like(mel)})
    assert torch.equal(model.model(given).mel, mel), "its own predictor is used"
    assert main(["pack", str(exp), "-o", str(tmp_path / "av2a.v2s"), "--name", "av2a"]) == 0
    scores = read_header(tmp_path / "av2a.v2s").scores
    assert scores and scores["row"] == results["rows"]["pretrained"]
    scored = Provenance.read(exp / "scored.json")
    Provenance({**scored.values, "speech.pretrained.predictor": "other"}).write(exp / "scored.json")
    pack(exp, tmp_path / "half.v2s", None, Card("", "", "", ""), precision="float16")
    assert read_header(tmp_path / "half.v2s").scores is None, "they are those of another predictor"
    assert load(tmp_path / "half.v2s", "cpu").synthesise_crops(read_crops(clip.video), model.voice(clip.speaker)).any()
    mel_run.parent.rename(tmp_path / "elsewhere")
    packed, crops = load(tmp_path / "av2a.v2s", "cpu"), read_crops(clip.video)
    speech = [each.synthesise_crops(crops, model.voice(clip.speaker)) for each in (packed, model)]
    assert np.array_equal(*speech) and speech[0].any()


def test_an_av2a_has_the_predictor_of_its_training_and_no_onnx_file(config, mel_run, recipe_folder, tmp_path, capsys):
    assert stages(recipe_folder, config, *TRAINING, sets=("predictor_folds=0",)) == 0
    exp, best = recipe_folder / "exp/av2a", checkpoint.best(mel_run)
    assert checkpoint.read_meta(checkpoint.best(exp / "finetune")).predictor == checkpoint.digest(best)
    assert main(["export", str(exp), "-o", str(tmp_path / "av2a.onnx")]) == 1
    message = "frontend 'audiovisual' can't be exported to ONNX (another model predicts its input predicted_mel)"
    assert message in capsys.readouterr().err
    saved = checkpoint.load(best)
    weights = {name: value * 1.5 if value.is_floating_point() else value for name, value in saved.weights.items()}
    checkpoint.save(checkpoint.Checkpoint(saved.meta, weights), best)
    for use in (
        lambda: load(exp / "finetune", "cpu"),
        lambda: pack(exp, tmp_path / "av2a.v2s", None, Card("", "", "", "")),
    ):
        with pytest.raises(UserError, match="is not the one that .* was trained with .*; restore that one, or repeat"):
            use()
    for path in exp.glob("finetune/*/meta.json"):  # of an earlier version
        meta = json.loads(path.read_text())
        del meta["predictor"]
        path.write_text(json.dumps(meta))
    assert load(exp / "finetune", "cpu").model.predictor is not None


def test_a_predictor_whose_loss_is_of_a_model_of_the_training_clips_is_refused(
    config, mel_run, recipe_folder, tiny, tmp_path
):
    on_train = write(tmp_path / "on_train.yaml", tiny, [], data={"pretrain": ["train"]})
    assert stages(recipe_folder, on_train, "pretrain") == 0
    recipe = Recipe(load_config(config), recipe_folder, recipe_folder / "exp/av2a", False, torch.device("cpu"))
    for run, refused in (("exp/tiny/pretrain", False), ("exp/on_train", True)):
        extractor = {"type": "audio_frontend", "run": str(recipe_folder / run)}
        for path in mel_run.glob("*/meta.json"):
            meta = json.loads(path.read_text())
            meta["config"]["losses"]["heard"] = {"type": "perceptual", "weight": 1.0, "extractor": extractor}
            path.write_text(json.dumps(meta))
        message = "has losses.heard.extractor.run .*, which was trained on train"
        with pytest.raises(UserError, match=message) if refused else nullcontext():
            folds._check_start(recipe)


def test_a_predictor_that_starts_from_a_model_of_the_training_clips_is_refused_and_found(
    config, mel_run, recipe_folder, tiny, tmp_path, capsys, monkeypatch
):
    parts = dict.fromkeys(("encoder", "decoder", "heads", "speaker"))
    key, more = "parts.encoder.init", {"transfer": parts, "parts": {"encoder": {"init": str(mel_run)}}}
    second = write(tmp_path / "second.yaml", tiny, [], pretrained=str(mel_run.parent), scratch=False, **more)
    assert stages(recipe_folder, second, "transfer", "finetune") == 0
    config = write(tmp_path / "leak.yaml", config, [], predictor=str(recipe_folder / "exp/second/finetune"))
    capsys.readouterr()
    assert stages(recipe_folder, config, "transfer", "finetune") == 1
    message = capsys.readouterr().err
    assert f"has {key} " in message and "which was trained on train" in message and "name a predictor" in message
    assert not (recipe_folder / "exp/leak/folds").exists()
    monkeypatch.setattr(folds, "_check_start", lambda recipe: None)  # as in experiments of earlier versions
    assert stages(recipe_folder, config, "transfer", "finetune", "synth") == 0
    status, found = audit(recipe_folder / "exp/leak", recipe_folder)
    assert status == 1 and [finding["kind"] for finding in found["findings"]] == ["predictions"], found
    assert "got speech of a model that was trained on them" in found["findings"][0]["text"]


def test_an_av2a_that_reads_the_target_or_heard_predictions_for_its_own_training_is_found(
    config, mel_run, recipe_folder, tmp_path
):
    (tmp_path / "leaky.py").write_text(READS_TARGET)
    audio = {"type": "mel_conv", **FRONTEND["audio"]}
    leaky = {"type": "leaky", **FRONTEND, "audio": audio, "directory": str(recipe_folder / "data/test")}
    config = write(tmp_path / "leak.yaml", config, [], networks={"visual_frontend": leaky}, plugins=["leaky.py"])
    assert stages(recipe_folder, config, *TRAINING, "synth", sets=("predictor_folds=0",)) == 0
    status, found = audit(recipe_folder / "exp/leak", recipe_folder)
    kinds = {finding["kind"]: finding["text"] for finding in found["findings"]}
    assert status == 1 and kinds.keys() == {"input", "predictions"}
    assert "--set predictor_folds=4" in kinds["predictions"]


def test_a_fold_is_pretrained_without_its_clips_where_the_predictor_was_pretrained_on_them(config, recipe_folder):
    for train, pretrained in (("train", True), ("audio", False)):  # the predictor was pre-trained on audio
        checked = load_config(config, [f"data.train={train}"])
        recipe = Recipe(checked, recipe_folder, recipe_folder / "exp/av2a", False, torch.device("cpu"))
        folds = [fold.config for fold in fold_recipes(recipe)]
        assert [bool(fold.pretrained) for fold in folds] == 2 * [pretrained]
        assert [fold.data.train for fold in folds] == [f"{train}-without-{number}-of-2" for number in (1, 2)]
        assert [fold.data.pretrain for fold in folds] == [["audio"] if pretrained else [f.data.train] for f in folds]


def test_what_does_not_fit_is_named_before_training(config, mel_run, recipe_folder, capsys):
    for sets, message in (
        (
            ("predictor=null", "predictor_folds=0"),
            "needs predicted_mel in addition to the video; name the finished V2A",
        ),
        (("predictor=null",), "predictor_folds: 2 or more, for trains: v2s with a predictor"),
        (("predictor_folds=1",), "predictor_folds: 2 or more"),
        (("networks.visual_frontend={type: resnet3d_small}", "parts={}"), "has no predicted input; leave it out"),
        (
            ("networks.visual_frontend.p_drop_audio=0.7", "networks.visual_frontend.p_drop_video=0.7"),
            "add up to at most 1",
        ),
        (("predictor=exp/none",), "exp/none does not exist; predictor: stage 4 of conf/mel.yaml makes it"),
        (("augmentation.crop=80", "crop.size=96"), "has other mouth crops"),
        (
            ("networks.visual_frontend.audio={type: resnet1d, channels: [4, 8]}",),
            "predicts mel, and the visual frontend needs",
        ),
    ):
        assert stages(recipe_folder, config, "transfer", sets=sets) == 1, message
        assert message in capsys.readouterr().err, message
    assert not (recipe_folder / "exp/av2a/transfer").exists()
