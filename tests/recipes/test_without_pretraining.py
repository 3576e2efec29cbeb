"""Without transferred parts there is no audio-to-audio model: V2A starts from other weights, and is compared with
random ones."""

from __future__ import annotations

import shutil

import torch
import yaml

from tests.conftest import WAVEFORM, stages, write
from tests.recipes.test_other_look_ahead import STILL, weights_in
from v2skit.cli.main import main
from v2skit.hub import installed
from v2skit.models import checkpoint
from v2skit.models.pack_header import Card, read_header
from v2skit.models.package import pack
from v2skit.recipes.trained_on import trained_on

ALL = ("pretrain", "transfer", "finetune", "synth", "score")
NONE = {"transfer": {"encoder": None, "decoder": None, "speaker": None}}


def same(first: dict, second: dict, part: str) -> bool:
    names = [name for name in first if name.startswith(f"{part}.") and name.endswith((".weight", ".bias"))]
    assert names
    return all(torch.allclose(first[name], second[name], atol=1e-5) for name in names)


def test_a_packed_model_is_trained_further(mel_run, recipe_folder, tiny, tmp_path, capsys):
    pack(mel_run, tmp_path / "whole.v2s", None, Card("whole", licence="CC0", credits=["A. Author"]))
    more = {"parts": {"model": {"init": str(tmp_path / "whole.v2s")}, "speaker": {"init": None}}, **NONE}
    further, exp = write(tmp_path / "further.yaml", tiny, [], **more), recipe_folder / "exp/further"
    capsys.readouterr()
    assert stages(recipe_folder, further, *ALL, sets=STILL) == 0
    assert capsys.readouterr().out.count("no part is transferred: no audio-to-audio model, and stage 4 starts") == 2
    assert not (exp / "pretrain").exists() and not (exp / "transfer").exists()
    assert main(["pack", str(exp), "-o", str(tmp_path / "further.v2s"), "--data", "hums"]) == 0
    assert "the card does not state made_for, licence, limits; --card FILE gives them" in capsys.readouterr().out
    card = read_header(tmp_path / "further.v2s").card
    assert card.credits == ["made with whole, licence CC0", "A. Author"] and card.data == "hums"
    assert main(["pack", str(exp / "scratch"), "-o", str(tmp_path / "scratch.v2s")]) == 0
    assert not read_header(tmp_path / "scratch.v2s").card.credits
    theirs, ours, scratch = weights_in(mel_run), weights_in(exp / "finetune"), weights_in(exp / "scratch")
    for part in ("frontend", "encoder", "decoder"):
        assert same(ours, theirs, part) and not same(scratch, theirs, part), part
    assert "| pre-trained |" in (text := (exp / "results.md").read_text()) and "| from scratch |" in text
    assert {"train"} == trained_on(checkpoint.folder_in(exp / "scratch", "")).directories
    assert not trained_on(checkpoint.folder_in(exp / "scratch", "")).unknown
    capsys.readouterr()
    assert stages(recipe_folder, further, *ALL, sets=STILL) == 0
    assert "finetune is finished, skipped" in capsys.readouterr().out


def test_the_row_from_scratch_has_the_credits_of_what_it_starts_from(mel_run, recipe_folder, tiny, tmp_path, capsys):
    """Of all parts, also of those whose weights others have from A2A."""
    pack(mel_run, whole := tmp_path / "whole.v2s", None, Card("whole", licence="CC0"))
    config = write(tmp_path / "further.yaml", tiny, [], parts={"encoder": {"init": str(whole)}})
    assert stages(recipe_folder, config, *ALL[:3], sets=STILL) == 0
    place = checkpoint.folder_in(recipe_folder / "exp/further/scratch", "")
    assert whole in trained_on(place).models
    command = ["pack", str(recipe_folder / "exp/further/scratch"), "-o", str(tmp_path / "scratch.v2s")]
    assert main(command) == 0
    assert read_header(tmp_path / "scratch.v2s").card.credits == ["made with whole, licence CC0"]
    assert "requires credits" not in capsys.readouterr().out
    whole.rename(tmp_path / "moved.v2s")
    assert main([*command, "--force"]) == 0
    assert f"note: {whole} is not here or has no card; if it requires credits" in capsys.readouterr().out


def test_an_earlier_transfer_in_the_folder_does_not_matter(mel_run, recipe_folder, tiny):
    nulls = ("scratch=false", "transfer.encoder=null", "transfer.decoder=null")
    first = shutil.copytree(mel_run.parent, recipe_folder / "exp/first")
    sets = (*nulls, f"parts.model.init={first}", "parts.speaker.init=null")
    assert stages(recipe_folder, tiny, *ALL, sets=sets, more=("--force",)) == 0


def test_an_earlier_row_from_scratch_that_was_not_random_is_refused(mel_run, recipe_folder, tiny, tmp_path, capsys):
    more = {"parts": {"encoder": {"init": str(mel_run)}}, **NONE}
    further, exp = write(tmp_path / "further.yaml", tiny, [], **more), recipe_folder / "exp/further"
    assert stages(recipe_folder, further, "finetune", sets=STILL) == 0
    record = exp / "scratch/config.yaml"
    tree = yaml.safe_load(record.read_text())
    assert tree["made_from"]["parts.encoder"] is None
    tree["made_from"]["parts.encoder"] = "digest"
    record.write_text(yaml.safe_dump(tree))
    assert stages(recipe_folder, further, "finetune", sets=STILL) == 1
    assert f"{exp / 'scratch'} was made with another config or data" in capsys.readouterr().err


def test_an_installed_model_may_be_another_one_once_the_run_is_trained(
    mel_run, recipe_folder, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr(installed, "FOLDER", tmp_path)
    pack(mel_run, tmp_path / "grid.v2s", None, Card())
    config = write(tmp_path / "c.yaml", tiny, [], parts={"model": {"init": "installed:grid"}}, scratch=False, **NONE)
    assert stages(recipe_folder, config, *ALL, sets=STILL) == 0
    assert stages(recipe_folder, tiny, "finetune", sets=("scratch=false", "finetune.steps=5"), more=("--force",)) == 0
    (tmp_path / "grid.v2s").unlink()
    pack(mel_run, tmp_path / "grid.v2s", None, Card())
    assert stages(recipe_folder, config, *ALL, sets=STILL) == 0


def test_a_model_of_waveforms_has_no_upper_bound_then(recipe_folder, tiny, tmp_path):
    decoder = {"type": "istft", "dim": 8, "blocks": 1}
    config = write(tmp_path / "raw.yaml", tiny, [WAVEFORM], networks={"decoder": decoder}, scratch=False, **NONE)
    assert stages(recipe_folder, config, *ALL, sets=STILL) == 0
    text = (recipe_folder / "exp/raw/results.md").read_text()
    assert "| pre-trained |" in text and "audio-to-audio" not in text


def test_videos_are_needed(recipe_folder, tiny, tmp_path, capsys):
    config = write(tmp_path / "none.yaml", tiny, [], data={"train": "videos"}, **NONE)
    for name in ("transfer", "finetune"):
        assert stages(recipe_folder, config, name) == 1
        assert capsys.readouterr().err.endswith("videos); stage 1 makes them\n")
