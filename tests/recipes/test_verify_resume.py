"""Killed and resumed runs end as uninterrupted ones, and a difference is named."""

import json

import pytest

from tests.conftest import vocoder_config, write
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.recipes.verify_resume import RUNS, compare


def test_killed_runs_are_compared_with_a_whole_one(recipe_folder, tiny, tmp_path, capsys, monkeypatch):
    """With discriminators, an average of the weights, and several workers."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    config, folder = vocoder_config(tmp_path, tiny), tmp_path / "verify"
    options = ["--config", str(config), "--work_dir", str(recipe_folder), "--exp", str(folder), "--steps", "12"]
    sets = ["--set", "pretrain.workers=2", "--set", "pretrain.ema_decay=0.9"]
    sets += ["--set", "loggers.jsonl=null"]
    assert main(["verify-resume", *options, "--kills", "1", *sets]) == 0
    printed = capsys.readouterr().out
    assert "are the same, bit for bit, after 1 kills" in printed and "14 lines of losses" in printed
    assert not list(folder.glob("*/pretrain/tensorboard"))  # nothing is logged but what is compared
    log = folder / "killed/pretrain/log.jsonl"
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    rows[4]["total"] += 1e-7
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UserError, match="step 5, train total"):
        compare(folder / "whole/pretrain", folder / "killed/pretrain")
    for name in RUNS:
        (folder / name / "pretrain/log.jsonl").unlink()
    with pytest.raises(UserError, match="no log.jsonl to compare"):
        compare(folder / "whole/pretrain", folder / "killed/pretrain")


def test_the_config_of_a_model_without_audio_pretraining_is_checked_too(recipe_folder, tiny, tmp_path, capsys):
    config = write(tmp_path / "alone.yaml", tiny, [], transfer={"encoder": None, "decoder": None})
    options = ["--config", str(config), "--work_dir", str(recipe_folder), "--exp", str(tmp_path / "verify")]
    assert main(["verify-resume", *options, "--steps", "4", "--kills", "1"]) == 0
    assert "are the same, bit for bit" in capsys.readouterr().out


@pytest.mark.parametrize("folder", [".", "data", "exp/mine"])
def test_nothing_of_others_is_deleted(recipe_folder, tiny, capsys, folder):
    (recipe_folder / "exp/mine/pretrain").mkdir(parents=True)
    before = sorted(recipe_folder.rglob("*"))
    options = ["--config", str(tiny), "--work_dir", str(recipe_folder), "--exp", str(recipe_folder / folder)]
    assert main(["verify-resume", *options]) == 1
    assert "holds other things" in capsys.readouterr().err and sorted(recipe_folder.rglob("*")) == before


def test_messages_of_a_failed_run_are_shown(recipe_folder, tiny, tmp_path, capsys):
    options = ["--config", str(tiny), "--work_dir", str(tmp_path / "nothing"), "--exp", str(tmp_path / "verify")]
    assert main(["verify-resume", *options]) == 1
    shown = capsys.readouterr().err
    assert "v2skit: error: " in shown and "stage 1 makes it" in shown
    assert shown.endswith("v2skit: error: verify-resume: training failed with exit status 1; see above why\n")
    assert main(["verify-resume", *options, "--kills", "0"]) == 1
    assert "must be at least 1" in capsys.readouterr().err
