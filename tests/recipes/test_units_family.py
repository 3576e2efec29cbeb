"""Units through all stages: their vocoder, a model that predicts them, its pack; and units that do not fit."""

import json

import pytest
import torch
import yaml

from tests.conftest import ISTFT, ROOT, stages, write
from v2skit.cli.main import main
from v2skit.config.load import load_config
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_vocoder
from v2skit.synthesis.synthesiser import load

UNITS, VOCODER = (str(ROOT / f"egs/conf/{name}.yaml") for name in ("units", "vocoder"))
TRAINED = ("pretrain", "transfer", "finetune")


@pytest.fixture
def units(recipe_folder, tiny, tmp_path):
    """Configs of a vocoder for units and of a model that predicts them, after the pre-training of the mel family."""
    assert stages(recipe_folder, tiny, "pretrain") == 0
    extractor = {"type": "audio_frontend", "run": str(recipe_folder / "exp/tiny/pretrain")}
    targets = {"units": {"type": "units", "clusters": 6, "extractor": extractor}}
    generator = {"type": "units", "generator": ISTFT}
    vocoder = write(tmp_path / "units_vocoder.yaml", tiny, [UNITS, VOCODER], targets=targets, vocoder=generator)
    run = {"type": "trained", "run": str(recipe_folder / "exp/units_vocoder/pretrain")}
    return vocoder, write(tmp_path / "units.yaml", tiny, [UNITS], targets=targets, vocoder=run)


def test_units_from_their_vocoder_to_the_table_and_the_pack(units, recipe_folder, tiny, tmp_path, monkeypatch):
    vocoder, model = units
    assert stages(recipe_folder, vocoder, "pretrain", "transfer", "finetune", "synth", "score") == 0
    exp = recipe_folder / "exp/units"
    copies = json.loads((recipe_folder / "exp/units_vocoder/results.json").read_text())
    assert list(copies["rows"]) == ["ground_truth", "copy_synthesis"]
    assert stages(recipe_folder, model, *TRAINED, "synth", "score") == 0
    results = json.loads((exp / "results.json").read_text())
    assert list(results["rows"]) == ["ground_truth", "copy_synthesis", "scratch", "pretrained"]
    for u in read_manifest(recipe_folder / "data/test"):
        ours, theirs = (recipe_folder / f"exp/{name}/synth/copy_synthesis/{u.id}.wav" for name in exp_names(units))
        assert ours.read_bytes() == theirs.read_bytes()
    rows = [json.loads(line) for line in (exp / "finetune/log.jsonl").read_text().splitlines()]
    assert all({"decoder/cross_entropy", "l1", "spectral_convergence"} <= row.keys() for row in rows)
    states = [checkpoint.read_meta(checkpoint.best(exp / run)).targets for run in ("pretrain", "finetune")]
    assert states[0] == states[1] and states[0]["units"]["shape"] == [6, 8]
    # The pack needs neither the extractor nor any other file.
    assert main(["pack", str(exp), "-o", str(tmp_path / "units.v2s"), "--name", "units"]) == 0
    (recipe_folder / "exp").rename(recipe_folder / "exp_moved")
    monkeypatch.chdir(tmp_path)
    packed = load(tmp_path / "units.v2s", "cpu")
    crops = torch.randint(0, 255, (12, 96, 96), dtype=torch.uint8).numpy()
    waveform = packed.synthesise_crops(crops, packed.voice(None))
    assert waveform.shape == (12 * 960,) and waveform.any()


def exp_names(units):
    """Names of the experiments' folders."""
    return [config.stem for config in units]


def test_the_vocoder_is_tuned_on_predicted_units(units, recipe_folder):
    vocoder, model = units
    assert stages(recipe_folder, vocoder, "pretrain") == 0
    assert stages(recipe_folder, model, *TRAINED, sets=("scratch=false",)) == 0
    predictor = (f"predictor={recipe_folder / 'exp/units/finetune'}",)
    assert stages(recipe_folder, vocoder, "finetune", "synth", "score", sets=predictor) == 0
    results = json.loads((recipe_folder / "exp/units_vocoder/results.json").read_text())
    assert list(results["rows"]) == [
        "ground_truth", "copy_synthesis", "predicted_input", "predicted_input_finetuned",
    ]  # fmt: skip
    assert "predicted_input_finetuned - predicted_input" in results["differences"]
    before, after = (
        checkpoint.load(checkpoint.best(recipe_folder / "exp/units_vocoder" / run)).weights
        for run in ("pretrain", "finetune")
    )
    name = "generator.embedding.weight"
    assert before.keys() == after.keys() and not torch.equal(before[name], after[name])


def test_a_model_of_units_resumes_exactly(units, recipe_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    vocoder, model = units
    assert stages(recipe_folder, vocoder, "pretrain") == 0
    options = ["--config", str(model), "--work_dir", str(recipe_folder), "--exp", str(tmp_path / "verify")]
    assert main(["verify-resume", *options, "--steps", "8", "--kills", "1"]) == 0
    assert "are the same, bit for bit, after 1 kills" in capsys.readouterr().out


def test_the_decoders_own_loss_suffices(units, recipe_folder, tiny, tmp_path, capsys):
    vocoder, model = units
    assert stages(recipe_folder, vocoder, "pretrain") == 0
    none = ("losses.l1=null", "losses.spectral_convergence=null")
    assert stages(recipe_folder, model, "pretrain", sets=(*none, "networks.heads.mel=null")) == 0
    rows = [json.loads(line) for line in (recipe_folder / "exp/units/pretrain/log.jsonl").read_text().splitlines()]
    assert all(row["total"] == pytest.approx(row["decoder/cross_entropy"]) for row in rows)
    capsys.readouterr()
    assert stages(recipe_folder, write(tmp_path / "mel.yaml", tiny, []), "pretrain", sets=none) == 1
    assert "at least one loss is needed, since the decoder has none of its own" in capsys.readouterr().err


def test_units_of_another_k_means_or_extractor_are_refused(units, recipe_folder, tiny, capsys):
    vocoder, _ = units
    assert stages(recipe_folder, vocoder, "pretrain") == 0
    capsys.readouterr()
    assert stages(recipe_folder, vocoder, "pretrain", sets=("targets.units.seed=1",)) == 1
    assert "targets.units.seed: 0 there, 1 now" in capsys.readouterr().err
    again = ["--force", "--config", str(tiny), "--work_dir", str(recipe_folder), "--set", "seed=2", "--device", "cpu"]
    assert main(["stage", "pretrain", *again]) == 0
    assert stages(recipe_folder, vocoder, "pretrain") == 1
    assert "the target 'units' was fitted to other data or with other settings" in capsys.readouterr().err


def test_a_vocoder_of_other_units_is_refused(units, recipe_folder, capsys):
    vocoder, model = units
    assert stages(recipe_folder, vocoder, "pretrain", sets=("targets.units.seed=1",)) == 0
    capsys.readouterr()
    assert stages(recipe_folder, model, "pretrain") == 1
    assert "the model and vocoder 'trained' have different targets 'units'" in capsys.readouterr().err


def test_what_is_missing_is_named_before_training(units, recipe_folder, tiny, tmp_path, capsys):
    vocoder, model = units
    capsys.readouterr()
    cases = {
        (
            "targets.units.extractor.run=nowhere",
        ): "nowhere does not exist; stage 2 of conf/mel.yaml (pre-training) makes it",
        ("targets.units.clusters=1000",): "k-means needs more frames than clusters",
        ("targets.units=null",): "there is no target 'units', which defines the units; add targets: {units: ",
        ("vocoder={type: units, generator: {type: griffin_lim}}",): "choose istft, hifigan or wavegan",
    }
    for sets, message in cases.items():
        assert stages(recipe_folder, vocoder, "pretrain", sets=sets) == 1
        assert message in capsys.readouterr().err
    assert stages(recipe_folder, model, "pretrain") == 1
    assert "for units conf/units_vocoder.yaml" in capsys.readouterr().err
    assert stages(recipe_folder, model, "pretrain", sets=("vocoder={type: griffin_lim}",)) == 1
    assert "vocoder 'griffin_lim' needs the stream 'mel', but the decoder outputs 'units'" in capsys.readouterr().err
    assert not (recipe_folder / "exp/units").exists() or not checkpoint.latest(recipe_folder / "exp/units/pretrain")


def test_units_as_an_auxiliary_head_of_a_mel_model(units, recipe_folder, tiny, tmp_path):
    targets = yaml.safe_load(units[0].read_text())["targets"]
    losses = {"units": {"type": "cross_entropy", "weight": 0.5}}
    config = write(
        tmp_path / "head.yaml", tiny, [], targets=targets, losses=losses, networks={"heads": {"u": {"type": "units"}}}
    )
    assert stages(recipe_folder, config, *TRAINED, "synth", sets=("scratch=false",)) == 0
    rows = [json.loads(line) for line in (recipe_folder / "exp/head/finetune/log.jsonl").read_text().splitlines()]
    assert all(row["units/cross_entropy"] > 0 for row in rows)
    with pytest.raises(UserError, match="needs the stream 'mel'"):
        build_vocoder(load_config(config), "units")
