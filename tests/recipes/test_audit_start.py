"""The audit names weights that know test clips, and those of which it can't be said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import stages, write
from v2skit.cli.main import main
from v2skit.data.data_dir import read_manifest, read_settings, write_manifest
from v2skit.models.pack_header import Card
from v2skit.models.package import pack

FURTHER = ("pretrain", "transfer", "finetune", "synth")
ALONE = {"transfer": {"encoder": None, "decoder": None}, "scratch": False}
KEYS = "parts.decoder.init, parts.encoder.init, parts.speaker.init, parts.visual_frontend.init"


def first(folder: Path, tiny: Path, knows: bool) -> Path:
    """A finished run that was trained on a test clip, or on none."""
    data = folder / "data"
    clips = [*read_manifest(data / "train"), *(read_manifest(data / "test")[:1] if knows else [])]
    write_manifest(data / "more", clips, read_settings(data / "train"))
    assert stages(folder, tiny, *FURTHER[:3], sets=("scratch=false", "data.train=more")) == 0
    return folder / "exp/tiny/finetune"


def audited(folder: Path, tiny: Path, **sections) -> tuple[int, dict]:
    """Train a model, and audit it: exit status, and what was found."""
    config = write(folder / "further.yaml", tiny, [], **sections)
    assert stages(folder, config, *FURTHER) == 0
    status = main(["audit", str(folder / "exp/further"), "--work_dir", str(folder), "--device", "cpu"])
    return status, json.loads((folder / "exp/further/audit.json").read_text())


def init(place: Path) -> dict:
    return {"parts": {"model": {"init": str(place)}}, **ALONE}


@pytest.mark.parametrize("knows", [False, True])
def test_weights_that_know_test_clips_are_found(recipe_folder, tiny, knows):
    run = first(recipe_folder, tiny, knows)
    shutil.copytree(recipe_folder / "data", recipe_folder / "data_other", ignore=shutil.ignore_patterns("more"))
    status, found = audited(recipe_folder, tiny, **init(run), data={"folder": "data_other"})
    (place,) = run.glob("checkpoint-*")
    if knows:
        (finding,) = found["findings"]
        assert status == 1 and finding["kind"] == "start"
        where = f"{recipe_folder / 'data/more'}, which has clips of test"
        assert f"{place} ({KEYS}) was trained on {where}" in finding["text"]
    else:
        assert status == 0 and f"{place} ({KEYS}) was not trained on clips of test" in found["checked"]


def test_data_that_are_gone_are_not_known(recipe_folder, tiny):
    run = first(recipe_folder, tiny, knows=True)
    shutil.rmtree(recipe_folder / "data/more")
    status, found = audited(recipe_folder, tiny, **init(run))
    (place,) = run.glob("checkpoint-*")
    assert status == 0 and any(f"is not known; not here: more, of {place}" in text for text in found["checked"])


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_a_pack_knows_is_not_known(mel_run, recipe_folder, tiny, tmp_path_factory, elsewhere):
    """Nor beside data directories of the same names."""
    packed = (tmp_path_factory.mktemp("elsewhere") if elsewhere else recipe_folder) / "whole.v2s"
    pack(mel_run, packed, None, Card())
    status, found = audited(recipe_folder, tiny, **init(packed))
    assert status == 0
    (text,) = (text for text in found["checked"] if "is not known" in text)
    assert f"whether {packed} ({KEYS}) was trained" in text and text.endswith("info prints the card of the pack")


def test_the_starts_of_audio_pretraining_and_of_the_row_from_scratch_are_looked_at(recipe_folder, tiny):
    run = first(recipe_folder, tiny, knows=True)
    status, found = audited(recipe_folder, tiny, parts={"decoder": {"init": str(run)}}, scratch=False)
    assert status == 1 and "(parts.decoder.init) was trained on" in found["findings"][0]["text"]


def test_a_pretrained_model_is_found_from_another_folder(recipe_folder, tiny, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(recipe_folder)
    run = first(recipe_folder, tiny, knows=False)
    config = write(recipe_folder / "further.yaml", tiny, [], pretrained="exp/tiny", scratch=False)
    assert stages(recipe_folder, config, *FURTHER) == 0
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    exp = recipe_folder / "exp/further"
    assert main(["audit", str(exp), "--work_dir", str(recipe_folder), "--device", "cpu"]) == 0
    (place,) = (run.parent / "pretrain").glob("checkpoint-*")
    assert (
        f"{place} (pretrained) was not trained on clips of test"
        in json.loads((exp / "audit.json").read_text())["checked"]
    )
    shutil.rmtree(run.parent)
    assert main(["audit", str(exp), "--work_dir", str(recipe_folder), "--device", "cpu"]) == 0
    checked = json.loads((exp / "audit.json").read_text())["checked"]
    assert "whether exp/tiny (pretrained) was trained on clips of test is not known; not here: exp/tiny" in checked
