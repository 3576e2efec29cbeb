"""The raw family and the vocoders through their stages, with tiny networks."""

import json

import pytest
import soundfile
import torch
import yaml

from tests.conftest import ISTFT, TINY, WAVEFORM, stages, vocoder_config, write
from v2skit.cli.main import main
from v2skit.config.features import Clock, Mel
from v2skit.config.load import load_config
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_new_vocoder, build_vocoder
from v2skit.models.vocoders.trained import Trained
from v2skit.recipes.trained_on import trained_on
from v2skit.system.provenance import Provenance

DISCRIMINATORS = {
    "waveform": {"type": "waveform", "channels": 2, "layers": 3},
    "power": {"type": "power", "channels": [2, 2], "blocks": 1},
}
WASSERSTEIN = {
    "type": "adversarial",
    "weight": 1.0,
    "objective": "wasserstein",
    "gradient_penalty": 10.0,
    "discriminators": DISCRIMINATORS,
}


@pytest.mark.parametrize("decoder", [{"type": "wavegan", "channels": 16}, ISTFT, {"type": "hifigan", "channels": 16}])
def test_raw_family_from_pretraining_to_the_table(recipe_folder, tiny, tmp_path, decoder):
    networks = {"decoder": decoder, "audio_frontend": {"type": "resnet1d", "channels": [4, 8], "blocks": 1}}
    if decoder["type"] == "wavegan":
        networks["encoder"] = {"type": "bigru", "dim": 4}
    losses = {"adversarial": {**WASSERSTEIN, "discriminator_steps": 2}, "mfcc": {"type": "mfcc", "weight": 0.4}}
    config = write(tmp_path / "raw.yaml", tiny, [WAVEFORM], networks=networks, losses=losses)
    assert stages(recipe_folder, config, "pretrain", "transfer", "finetune", "synth", "score") == 0
    exp = recipe_folder / "exp/raw"
    results = json.loads((exp / "results.json").read_text())
    assert list(results["rows"]) == ["ground_truth", "audio_to_audio", "scratch", "pretrained"]
    assert "pretrained - scratch" in results["differences"]
    for row in ("audio_to_audio", "scratch", "pretrained"):
        for u in read_manifest(recipe_folder / "data/test"):
            assert soundfile.info(exp / "synth" / row / f"{u.id}.wav").frames == u.frames * 960
    ledger = json.loads((exp / "transfer/ledger.json").read_text())
    assert ledger["shares"]["decoder"] == ledger["shares"]["encoder"] == 1.0
    copied = {e["tensor"] for e in ledger["entries"] if e["status"] == "copied"}
    a2a = checkpoint.load(checkpoint.best(exp / "pretrain"))
    init = checkpoint.load(exp / "transfer/init")
    moved = {n for n in init.weights if n.startswith(("encoder.", "decoder."))}
    assert moved and moved == copied
    assert all(torch.equal(init.weights[n], a2a.averaged[n]) for n in moved)
    if decoder["type"] == "wavegan":
        assert any("video_mean" in n for n in copied)  # dual batch statistics are copied as well
    rows = [json.loads(line) for line in (exp / "finetune/log.jsonl").read_text().splitlines()]
    names = {"adversarial", "adversarial/discriminator", "adversarial/penalty", "adversarial/real", "adversarial/fake"}
    assert all(names <= row.keys() for row in rows if row["kind"] == "train")
    assert not any(names & row.keys() for row in rows if row["kind"] == "valid")


def test_vocoder_is_trained_tuned_on_predicted_mels_and_used(mel_run, recipe_folder, tiny, tmp_path, capsys):
    config = vocoder_config(tmp_path, tiny, predictor=str(mel_run))
    assert stages(recipe_folder, config, "pretrain", "transfer", "finetune", "synth", "score") == 0
    exp = recipe_folder / "exp/vocoder"
    rows = ["ground_truth", "griffin_lim", "uncorrected", "copy_synthesis"]
    rows += ["predicted_griffin_lim", "predicted_uncorrected", "predicted"]
    rows += ["predicted_finetuned", "predicted_finetuned_corrected"]
    results = json.loads((exp / "results.json").read_text())
    assert list(results["rows"]) == rows
    assert set(results["differences"]) >= {"copy_synthesis - griffin_lim", "predicted_finetuned - predicted"}
    corrected = {"copy_synthesis - uncorrected", "predicted_finetuned_corrected - predicted_finetuned"}
    assert set(results["differences"]) >= corrected
    for name, args, rounds in (("pretrain", {}, 8), ("finetune", {}, 0), ("finetune", {"corrections": 3}, 3)):
        assert Trained(Clock(), Mel(), str(exp / name), **args).correction.rounds == rounds
    packed = tmp_path / "tuned.v2s"
    assert main(["pack", str(mel_run), "-o", str(packed), "--vocoder", str(exp / "finetune")]) == 0
    assert Trained(Clock(), Mel(), str(packed)).correction.rounds == 0
    assert set(results["notes"]) == {"copy_synthesis", "predicted", "predicted_finetuned_corrected"}
    assert "* predicted mel, fine-tuned, corrected: with mel correction" in (exp / "results.md").read_text()
    rows = [json.loads(line) for line in (exp / "pretrain/log.jsonl").read_text().splitlines()]
    begun = [row["step"] for row in rows if "adversarial/feature_matching" in row]
    assert begun == [3, 4] and all(
        "adversarial/discriminator" in row for row in rows if row["step"] in begun and row["kind"] == "train"
    )
    fresh, tuned = (checkpoint.load(checkpoint.best(exp / name)) for name in ("pretrain", "finetune"))
    assert set(fresh.weights) == set(tuned.weights) and not any("frontend" in name for name in tuned.weights)
    assert torch.equal(fresh.weights["mean"], tuned.weights["mean"]) and fresh.weights["mean"].abs().min() > 0
    # It is the vocoder of the same V2A model, by its path from the recipe's folder.
    vocoder = f"vocoder={{type: trained, run: {exp / 'finetune'}}}"
    assert stages(recipe_folder, tiny, "synth", "score", sets=("scratch=false", vocoder)) == 0
    source = Provenance.read(recipe_folder / "exp/tiny/synth/pretrained/source.json").values
    assert source["vocoder.type"] == "trained"
    assert source["vocoder.digest"] == checkpoint.digest(checkpoint.best(exp / "finetune"))
    for u in read_manifest(recipe_folder / "data/test"):
        ours = recipe_folder / "exp/tiny/synth/pretrained" / f"{u.id}.wav"
        assert ours.read_bytes() == (exp / "synth/predicted_finetuned" / f"{u.id}.wav").read_bytes()
    direct = ["synth-data", str(recipe_folder / "data/test"), "--model", str(mel_run), "--out", str(tmp_path / "out")]
    assert main([*direct, "--vocoder", str(exp / "finetune"), "--device", "cpu"]) == 0
    assert all((tmp_path / "out" / ours.name).read_bytes() == ours.read_bytes() for ours in ours.parent.glob("*.wav"))
    # Runs and speech whose inputs have changed since are neither scored nor resumed.
    capsys.readouterr()
    again = (
        "--force",
        "--config",
        str(config),
        "--work_dir",
        str(recipe_folder),
        "--set",
        "pretrain.learning_rate=0.01",
    )
    assert main(["stage", "pretrain", *again, "--device", "cpu"]) == 0
    changed = ("pretrain.learning_rate=0.01",)
    assert stages(recipe_folder, config, "score", sets=changed) == 1
    assert "vocoder.digest: other content now); run stage 5 again" in capsys.readouterr().err
    assert stages(recipe_folder, config, "finetune", sets=changed) == 1
    assert "made_from.init" in capsys.readouterr().err
    assert stages(recipe_folder, tiny, "score", sets=("scratch=false",)) == 1
    assert "vocoder.type: trained there, griffin_lim now); run stage 5 again" in capsys.readouterr().err


def test_vocoder_without_a_predictor_and_other_mels(recipe_folder, tiny, tmp_path, capsys):
    config = vocoder_config(tmp_path, tiny)
    assert stages(recipe_folder, config, "pretrain", "finetune", "synth", "score") == 0
    assert "no predictor" in capsys.readouterr().out
    results = json.loads((recipe_folder / "exp/vocoder/results.json").read_text())
    assert list(results["rows"]) == ["ground_truth", "griffin_lim", "uncorrected", "copy_synthesis"]
    run = recipe_folder / "exp/vocoder/pretrain"
    other = load_config(tiny, [f"vocoder={{type: trained, run: {run}}}", "mel.f_max=8000", "mel.n_mels=40"])
    with pytest.raises(
        UserError, match=r"f_max: 8000.0 in the model, 12000.0 in vocoder .*; n_mels: 40 in the model, 80"
    ):
        build_vocoder(other, "mel")


def test_a_given_vocoder_is_tuned_with_other_losses(mel_run, recipe_folder, tiny, tmp_path, capsys):
    config = vocoder_config(tmp_path, tiny)
    assert stages(recipe_folder, config, "pretrain") == 0
    run = recipe_folder / "exp/vocoder/pretrain"
    losses = ("losses.estoi_waveform={type: estoi_waveform, weight: 3.0}", "losses.pesq={type: pesq, weight: 0.3}")
    given = (f"pretrained={run}", f"predictor={mel_run}", "data.pretrain=[train]", *losses)
    tuned = {"sets": given, "more": ("--exp", str(recipe_folder / "exp/tuned"))}
    capsys.readouterr()
    assert stages(recipe_folder, config, "pretrain", "transfer", "finetune", "synth", **tuned) == 0
    assert f"pretrained: {checkpoint.best(run)}" in capsys.readouterr().out
    exp = recipe_folder / "exp/tuned"
    assert not (exp / "pretrain").exists() and (exp / "synth/predicted_finetuned").is_dir()
    made_from = yaml.safe_load((exp / "finetune/config.yaml").read_text())["made_from"]
    assert made_from["init"] == checkpoint.digest(checkpoint.best(run))
    rows = [json.loads(line) for line in (exp / "finetune/log.jsonl").read_text().splitlines()]
    assert all({"estoi_waveform", "pesq"} <= row.keys() for row in rows if row["kind"] == "train")
    assert trained_on(checkpoint.best(exp / "finetune")).directories == {"audio", "train"}
    for wrong, message in (
        (f"pretrained={mel_run}", "is no vocoder; pretrained: give the experiment of a vocoder"),
        ("mel.f_max=8000", "f_max"),
    ):
        other = {"sets": (*given, wrong), "more": ("--exp", str(tmp_path / "wrong"))}
        assert stages(recipe_folder, config, "pretrain", **other) == 1
        assert message in capsys.readouterr().err


def test_wrong_vocoders_are_refused(mel_run, recipe_folder, tiny, tmp_path, capsys):
    with pytest.raises(UserError, match="vocoder 'istft' must be trained first"):
        build_vocoder(load_config(tiny, ["vocoder={type: istft}"]), "mel")
    with pytest.raises(UserError, match="holds no vocoder"):
        build_vocoder(load_config(tiny, [f"vocoder={{type: trained, run: {mel_run}}}"]), "mel")
    with pytest.raises(UserError, match="vocoder recipe's stage 2 makes it"):
        build_vocoder(load_config(tiny, ["vocoder={type: trained, run: nowhere}"]), "mel")
    config = vocoder_config(tmp_path, tiny)
    assert stages(recipe_folder, config, "pretrain", sets=("vocoder={type: griffin_lim}",)) == 1
    assert "has no weights to train" in capsys.readouterr().err
    assert stages(recipe_folder, config, "pretrain") == 0
    trained = f"vocoder={{type: trained, run: {recipe_folder / 'exp/vocoder/pretrain'}}}"
    with pytest.raises(UserError, match="is trained already; name the generator to train"):
        build_new_vocoder(load_config(tiny, [trained]))
    other_crop = (f"predictor={mel_run}", "augmentation.crop=80")
    capsys.readouterr()
    assert stages(recipe_folder, config, "finetune", sets=other_crop) == 1
    assert "has other mouth crops" in capsys.readouterr().err
    other = {"sets": (f"predictor={mel_run}",), "more": ("--exp", str(tmp_path / "other"))}
    assert stages(recipe_folder, tiny, "pretrain", "transfer", **other) == 1
    assert "predictor: visual_frontend 'resnet3d_small' has no predicted input" in capsys.readouterr().err
    assert stages(recipe_folder, config, "finetune", sets=(f"predictor={mel_run.parent / 'pretrain'}",)) == 1
    assert "a video-to-audio model is needed" in capsys.readouterr().err
    assert stages(recipe_folder, config, "finetune", sets=("predictor=exp/none",)) == 1
    assert "stage 4 of conf/mel.yaml makes it" in capsys.readouterr().err


def test_losses_must_fit_the_models_output(recipe_folder, tiny, capsys):
    assert stages(recipe_folder, tiny, "pretrain", sets=("losses.power={type: power, weight: 1}",)) == 1
    assert "loss 'power' needs models with output waveform, this one has output mel" in capsys.readouterr().err


def test_force_deletes_nothing_before_all_is_checked(mel_run, recipe_folder, tiny, capsys):
    kept = checkpoint.latest(mel_run)
    short = "finetune={steps: 4, batch_frames: 12, segment_frames: null}"
    for wrong in ("losses.power={type: power, weight: 1}", "vocoder={type: trained, run: nowhere}", short):
        options = [
            "--config",
            str(tiny),
            "--work_dir",
            str(recipe_folder),
            "--set",
            wrong,
            "--force",
            "--device",
            "cpu",
        ]
        assert main(["stage", "finetune", *options]) == 1
        assert checkpoint.read_meta(kept).step == 4, wrong


def test_perceptual_loss_with_the_frontend_of_a_finished_pretraining(mel_run, recipe_folder, tiny, tmp_path, capsys):
    run = mel_run.parent / "pretrain"
    losses = {
        "perceptual": {"type": "perceptual", "weight": 1.0, "extractor": {"type": "audio_frontend", "run": str(run)}}
    }
    config = write(tmp_path / "raw.yaml", tiny, [WAVEFORM], networks={"decoder": ISTFT}, losses=losses)
    assert stages(recipe_folder, config, "pretrain", "transfer", "finetune", sets=("scratch=false",)) == 0
    rows = [json.loads(line) for line in (recipe_folder / "exp/raw/finetune/log.jsonl").read_text().splitlines()]
    assert all(0 < row["perceptual"] < 10 for row in rows)
    made = yaml.safe_load((recipe_folder / "exp/raw/finetune/config.yaml").read_text())["made_from"]
    assert made["losses"] == {"perceptual": checkpoint.digest(checkpoint.best(run))}
    assert (
        main(
            [
                "stage",
                "pretrain",
                "--force",
                "--config",
                str(tiny),
                "--work_dir",
                str(recipe_folder),
                "--device",
                "cpu",
                "--set",
                "seed=2",
            ]
        )
        == 0
    )
    capsys.readouterr()
    assert stages(recipe_folder, config, "finetune", sets=("scratch=false",)) == 1
    assert "made_from.losses.perceptual" in capsys.readouterr().err


def test_test_clips_without_audio_are_synthesised_but_have_no_upper_bound(recipe_folder, tiny, tmp_path):
    scp = recipe_folder / "data/test/wav.scp"
    scp.write_text("".join(scp.read_text().splitlines(keepends=True)[1:]))
    config = write(tmp_path / "raw.yaml", tiny, [WAVEFORM], networks={"decoder": ISTFT})
    assert (
        stages(recipe_folder, config, "pretrain", "transfer", "finetune", "synth", "score", sets=("scratch=false",))
        == 0
    )
    counts = {
        row: len(list((recipe_folder / "exp/raw/synth" / row).glob("*.wav")))
        for row in ("audio_to_audio", "pretrained")
    }
    assert counts == {"audio_to_audio": 2, "pretrained": 3}


def test_another_experiment_in_the_same_folder_is_refused(recipe_folder, tiny, tmp_path, capsys):
    config = vocoder_config(tmp_path, tiny)
    assert stages(recipe_folder, config, "pretrain") == 0
    (tmp_path / "exp").mkdir(exist_ok=True)
    options = ["--config", str(tiny), "--work_dir", str(recipe_folder), "--exp", str(recipe_folder / "exp/vocoder")]
    assert main(["stage", "pretrain", *options, "--device", "cpu"]) == 1
    assert "trains: vocoder there, v2s now" in capsys.readouterr().err


def test_a_later_base_overrides_an_earlier_one(tmp_path, tiny):
    config = load_config(write(tmp_path / "raw.yaml", tiny, [WAVEFORM], networks={"decoder": ISTFT}))
    assert set(config.losses) == {"multi_resolution_stft", "log_mel"} and config.networks.decoder.args["dim"] == 8
    assert config.networks.encoder.args["dim"] == TINY["networks"]["encoder"]["dim"]
    for name, steps in (("first", 7), ("second", 8)):
        (tmp_path / f"{name}.yaml").write_text(
            yaml.safe_dump({"pretrain": {"steps": steps, f"lo{name}": 1} if name == "second" else {"steps": steps}})
        )
    both = write(tmp_path / "both.yaml", tiny, [str(tmp_path / "first.yaml"), str(tmp_path / "second.yaml")])
    with pytest.raises(UserError, match=r"second.yaml: unknown key 'pretrain.losecond'"):
        load_config(both)
    (tmp_path / "second.yaml").write_text("pretrain: {steps: 8}")
    assert load_config(both).pretrain.steps == 8  # the later one wins
    with pytest.raises(UserError, match="base: expected the path of a config or a list of such"):
        load_config(write(tmp_path / "wrong.yaml", tiny, [3]))
