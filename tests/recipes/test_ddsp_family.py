"""DDSP through all stages, with the target and the metrics of F0."""

import json
import re
import sys

import numpy as np
import pytest

from tests.conftest import ROOT, stages, write
from v2skit.cli.main import main
from v2skit.data.data_dir import read_manifest
from v2skit.data.streams import StoredStream
from v2skit.synthesis.synthesiser import load

CONF = str(ROOT / "egs/conf/ddsp.yaml")
TINY_DDSP = {"dim": 8, "blocks": 1, "refiner_blocks": 1, "bands": 16, "harmonics": 8, "f0_dim": 8}


@pytest.fixture
def config(tiny, tmp_path):
    pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")
    return write(tmp_path / "ddsp.yaml", tiny, [CONF], networks={"decoder": TINY_DDSP})


def test_ddsp_from_the_targets_to_the_table_and_the_pack(config, recipe_folder, tmp_path, monkeypatch):
    assert stages(recipe_folder, config, "pretrain", "transfer", "finetune", "synth", "score") == 0
    exp = recipe_folder / "exp/ddsp"
    (folder,) = (recipe_folder / "data/train/targets").glob("f0-*")
    stored = StoredStream(folder)
    lengths = [4 * u.frames for u in read_manifest(recipe_folder / "data/train")]
    assert stored.lengths.tolist() == lengths
    f0 = np.concatenate([stored.read(row, 0, length // 4, True) for row, length in enumerate(lengths)])
    assert (f0 > 0).mean() > 0.9 and f0[f0 > 0].min() > 145 and f0.max() < 305  # hums of 150 to 300 Hz
    for run in ("pretrain", "finetune"):
        rows = [json.loads(line) for line in (exp / run / "log.jsonl").read_text().splitlines()]
        assert all(0 < row["f0"] < 3 and 0 < row["f0/voicing"] < 3 for row in rows)
    results = json.loads((exp / "results.json").read_text())
    assert list(results["rows"]) == ["ground_truth", "audio_to_audio", "scratch", "pretrained"]
    truth, ours = results["rows"]["ground_truth"], results["rows"]["pretrained"]
    assert truth["f0_rmse"]["mean"] == truth["voicing_error"]["mean"] == 0
    assert 0 < ours["f0_rmse"]["mean"] <= 1200 and ours["f0_rmse"]["n"] == ours["voicing_error"]["n"] == 3
    # Synthesis needs no praat-parselmouth.
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    assert main(["pack", str(exp), "-o", str(tmp_path / "ddsp.v2s"), "--name", "ddsp"]) == 0
    packed = load(tmp_path / "ddsp.v2s", "cpu")
    crops = np.random.default_rng(0).integers(0, 255, (12, 96, 96), dtype=np.uint8)
    waveform = packed.synthesise_crops(crops, packed.voice(None))
    assert waveform.shape == (12 * 960,) and waveform.any()


def test_what_is_missing_for_f0_is_named_before_training(config, recipe_folder, capsys):
    for sets, message in (
        (("targets.f0=null",), "loss 'f0' compares 'f0' with a target.*add targets.f0"),
        (("networks.decoder={type: istft}",), "loss 'f0' needs models with output f0"),
        (("networks.heads.f0={type: f0}",), "outputs 'f0', which the decoder outputs already"),
        (("networks.decoder.floor_hz=900",), "floor_hz 900 must be below ceiling_hz 500"),
    ):
        assert stages(recipe_folder, config, "pretrain", sets=sets) == 1
        assert re.search(message, capsys.readouterr().err), message
    assert not (recipe_folder / "exp/ddsp/pretrain/log.jsonl").exists()


def test_a_missing_praat_is_named_before_training_until_the_targets_are_stored(
    config, recipe_folder, capsys, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "parselmouth", None)
        assert stages(recipe_folder, config, "pretrain") == 1
        assert "pip install 'v2skit[f0]'" in capsys.readouterr().err
    assert not (recipe_folder / "exp/ddsp/pretrain/log.jsonl").exists()
    assert stages(recipe_folder, config, "pretrain") == 0
    monkeypatch.setitem(sys.modules, "parselmouth", None)
    again = config.rename(config.with_name("again.yaml"))
    assert stages(recipe_folder, again, "pretrain") == 0


def test_the_head_predicts_f0_on_any_model(recipe_folder, tiny, tmp_path):
    pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")
    head = {"f0": {"type": "f0", "on": "encoder", "dim": 8, "blocks": 1}}
    config = write(
        tmp_path / "head.yaml", tiny, [], networks={"heads": head}, targets={"f0": {"type": "f0"}},
        losses={"f0": {"type": "f0", "weight": 1.0}},
    )  # fmt: skip
    assert stages(recipe_folder, config, "pretrain") == 0
    rows = [json.loads(line) for line in (recipe_folder / "exp/head/pretrain/log.jsonl").read_text().splitlines()]
    assert all({"l1", "f0", "f0/voicing"} <= row.keys() for row in rows)


def test_a_killed_run_ends_as_an_uninterrupted_one(config, recipe_folder, tmp_path, capsys, monkeypatch):
    """The noise of training is drawn; it is the same in the steps after resuming."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    options = ["--config", str(config), "--work_dir", str(recipe_folder), "--exp", str(tmp_path / "verify")]
    assert main(["verify-resume", *options, "--steps", "8", "--kills", "1"]) == 0
    assert "are the same, bit for bit, after 1 kills" in capsys.readouterr().out


def test_discriminators_train_a_finished_model_further(config, recipe_folder, tiny, tmp_path):
    assert stages(recipe_folder, config, "pretrain", "transfer", "finetune", sets=("scratch=false",)) == 0
    first = recipe_folder / "exp/ddsp"
    parts = {part: {"init": str(first)} for part in ("visual_frontend", "encoder", "decoder", "speaker")}
    second = ROOT / "egs/conf/ddsp_adversarial.yaml"
    adversarial = {
        "window_frames": 4, "learning_rate": 0.01, "discriminators": {"multi_resolution": {"channels": 2}},
    }  # fmt: skip
    sections = {"losses": {"adversarial": adversarial}, "finetune": {"learning_rate": 1e-3, "steps": 12}}
    config = write(tmp_path / "second.yaml", config, [str(second)], pretrained=str(first), parts=parts, **sections)
    assert stages(recipe_folder, config, "pretrain", "transfer", "finetune") == 0
    run = recipe_folder / "exp/second/finetune"
    shares = json.loads((run / "ledger.json").read_text())["shares"]
    assert shares == dict.fromkeys(parts, 1), "all weights are those of the first phase"
    before, after = (
        [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        for folder in (first / "finetune", run)
    )
    assert after[-1]["kind"] == before[-1]["kind"] == "valid" and after[-1]["log_mel"] < before[-1]["log_mel"]
    found = [row["adversarial/discriminator"] for row in after if row["kind"] == "train"]
    assert "adversarial/discriminator" not in before[0] and found[-1] < found[0]
