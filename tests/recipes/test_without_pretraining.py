"""Without transferred parts there is no audio-to-audio model: V2A starts from other weights, and is compared with
random ones."""

from __future__ import annotations

import torch

from tests.conftest import WAVEFORM, stages, write
from v2skit.models import checkpoint
from v2skit.models.pack_header import Card
from v2skit.models.package import pack
from v2skit.recipes.trained_on import trained_on

ALL = ("pretrain", "transfer", "finetune", "synth", "score")
NONE = {"transfer": {"encoder": None, "decoder": None, "speaker": None}}
STILL = ("finetune.steps=1", "finetune.learning_rate=1e-9")


def weights_in(run) -> dict[str, torch.Tensor]:
    return checkpoint.load(checkpoint.folder_in(run, "")).inference_weights


def same(first: dict, second: dict, part: str) -> bool:
    names = [name for name in first if name.startswith(f"{part}.") and name.endswith((".weight", ".bias"))]
    assert names
    return all(torch.allclose(first[name], second[name], atol=1e-5) for name in names)


def test_a_packed_model_is_trained_further(mel_run, recipe_folder, tiny, tmp_path, capsys):
    pack(mel_run, tmp_path / "whole.v2s", None, Card())
    more = {"parts": {"model": {"init": str(tmp_path / "whole.v2s")}, "speaker": {"init": None}}, **NONE}
    further, exp = write(tmp_path / "further.yaml", tiny, [], **more), recipe_folder / "exp/further"
    capsys.readouterr()
    assert stages(recipe_folder, further, *ALL, sets=STILL) == 0
    assert capsys.readouterr().out.count("no part is transferred: no audio-to-audio model, and stage 4 starts") == 2
    assert not (exp / "pretrain").exists() and not (exp / "transfer").exists()
    theirs, ours, scratch = weights_in(mel_run), weights_in(exp / "finetune"), weights_in(exp / "scratch")
    for part in ("frontend", "encoder", "decoder"):
        assert same(ours, theirs, part) and not same(scratch, theirs, part), part
    assert "| pre-trained |" in (text := (exp / "results.md").read_text()) and "| from scratch |" in text
    assert {"train"} == trained_on(checkpoint.folder_in(exp / "scratch", "")).directories
    assert not trained_on(checkpoint.folder_in(exp / "scratch", "")).unknown
    capsys.readouterr()
    assert stages(recipe_folder, further, *ALL, sets=STILL) == 0
    assert "finetune is finished, skipped" in capsys.readouterr().out


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
