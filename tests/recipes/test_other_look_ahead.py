"""Stages whose model has another look-ahead than the one that it starts from: kernels over time are shifted."""

import torch

from tests.conftest import ISTFT, stages, vocoder_config, write
from v2skit.models import checkpoint
from v2skit.models.look_ahead import Shift
from v2skit.models.pack_header import Card
from v2skit.models.package import pack

STILL = ("finetune.steps=1", "finetune.learning_rate=1e-9")
"""Of a run whose weights are those that it starts from."""
LIMITED = {"encoder": {"look_ahead_frames": 2, "attention_frames": 8}}


def weights_in(run) -> dict[str, torch.Tensor]:
    return checkpoint.load(checkpoint.folder_in(run, "")).inference_weights


def assert_shifted(run, before, name: str, theirs: int, ours: int) -> None:
    was, now = weights_in(before)[name], weights_in(run)[name]
    torch.testing.assert_close(now, Shift(theirs, ours, -1).apply(was), atol=1e-5, rtol=0)
    assert not torch.allclose(now, was, atol=1e-3)


def test_a_vocoder_is_tuned_from_one_with_more_look_ahead(mel_run, recipe_folder, tiny, tmp_path, capsys):
    config = vocoder_config(tmp_path, tiny, predictor=str(mel_run))
    assert stages(recipe_folder, config, "pretrain") == 0
    exp = recipe_folder / "exp"
    live = write(
        tmp_path / "live.yaml", config, [], vocoder={**ISTFT, "look_ahead_frames": 3}, pretrained=str(exp / "vocoder")
    )
    capsys.readouterr()
    assert stages(recipe_folder, live, "finetune", sets=STILL) == 0
    assert "generator.blocks.0.depthwise.weight: look-ahead 3 -> 1" in capsys.readouterr().out
    assert_shifted(exp / "live/finetune", exp / "vocoder/pretrain", "generator.blocks.0.depthwise.weight", 3, 1)


def test_an_encoder_is_transferred_to_one_with_limited_look_ahead(recipe_folder, tiny, tmp_path):
    assert stages(recipe_folder, tiny, "pretrain") == 0
    exp, name = recipe_folder / "exp", "encoder.blocks.0.convolution.depthwise.weight"
    more = {"pretrained": str(exp / "tiny"), "transfer": {"encoder": {}}}
    live = write(tmp_path / "live.yaml", tiny, [], networks=LIMITED, **more)
    assert stages(recipe_folder, live, "transfer") == 0
    assert f"| {name} | copied, look-ahead 1 -> 0 |" in (exp / "live/transfer/ledger.md").read_text()
    assert_shifted(exp / "live/transfer/init", exp / "tiny/pretrain", name, 1, 0)


def test_a_part_starts_from_a_pack(mel_run, recipe_folder, tiny, tmp_path):
    pack(mel_run, tmp_path / "whole.v2s", None, Card())
    more = {"parts": {"encoder": {"init": str(tmp_path / "whole.v2s")}}, "transfer": {"encoder": None}}
    more |= {"pretrained": str(recipe_folder / "exp/tiny"), "scratch": False}
    live = write(tmp_path / "live.yaml", tiny, [], networks=LIMITED, **more)
    assert stages(recipe_folder, live, "transfer", "finetune", sets=STILL) == 0
    name = "encoder.blocks.0.convolution.depthwise.weight"
    assert_shifted(recipe_folder / "exp/live/finetune", mel_run, name, 1, 0)
