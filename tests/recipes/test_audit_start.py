"""The audit names weights that know test clips, and those of which it can't be said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import stages, write
from v2skit.cli.main import main
from v2skit.data.data_dir import read_manifest, read_settings, write_manifest
from v2skit.models.pack_header import Card
from v2skit.models.package import pack

FURTHER = ("pretrain", "transfer", "finetune", "synth")


def further(folder: Path, tiny: Path, init: Path) -> tuple[int, dict]:
    """Train a finished model further, and audit it: exit status, and what was found."""
    more = {"parts": {"model": {"init": str(init)}}, "transfer": {"encoder": None, "decoder": None}, "scratch": False}
    config = write(folder / "further.yaml", tiny, [], **more)
    assert stages(folder, config, *FURTHER) == 0
    status = main(["audit", str(folder / "exp/further"), "--work_dir", str(folder), "--device", "cpu"])
    return status, json.loads((folder / "exp/further/audit.json").read_text())


@pytest.mark.parametrize("knows", [False, True])
def test_weights_that_know_test_clips_are_found(recipe_folder, tiny, knows):
    data = recipe_folder / "data"
    clips = [*read_manifest(data / "train"), *(read_manifest(data / "test")[:1] if knows else [])]
    write_manifest(data / "more", clips, read_settings(data / "train"))
    sets = ("scratch=false", "data.train=more")
    assert stages(recipe_folder, tiny, *FURTHER[:3], sets=sets) == 0
    first = recipe_folder / "exp/tiny/finetune"
    status, found = further(recipe_folder, tiny, first)
    (place,) = first.glob("checkpoint-*")
    keys = "parts.decoder.init, parts.encoder.init, parts.speaker.init, parts.visual_frontend.init"
    if knows:
        (finding,) = found["findings"]
        assert status == 1 and finding["kind"] == "start"
        assert f"{keys}: {place} was trained on more, which has clips of test; name weights" in finding["text"]
    else:
        assert status == 0 and f"{place} ({keys}) was not trained on clips of test" in found["checked"]


def test_what_a_pack_knows_is_not_checked(mel_run, recipe_folder, tiny, tmp_path):
    pack(mel_run, tmp_path / "whole.v2s", None, Card())
    status, found = further(recipe_folder, tiny, tmp_path / "whole.v2s")
    assert status == 0
    (text,) = (text for text in found["checked"] if text.startswith("whether"))
    assert "whole.v2s (parts.decoder.init, " in text and "is not known" in text and "its card (v2skit info)" in text
