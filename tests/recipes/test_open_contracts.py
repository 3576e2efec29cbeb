"""Heads, targets and decoders with their own training loss, through all stages."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import v2skit
from tests.conftest import stages
from tests.open_components import open_components
from v2skit.config.load import load_config
from v2skit.data.data_dir import read_manifest, write_manifest
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models import checkpoint
from v2skit.models.build import build_model, build_targets, build_vocoder
from v2skit.recipes import targets
from v2skit.recipes.recipe import Recipe
from v2skit.registry.component import Component

__all__ = ["open_components"]  # a fixture

HEAD = (
    "targets.loudness={type: loudness}",
    "networks.heads.loud={type: linear_test, on: encoder}",
    "losses.loud={type: squared_test, weight: 0.5}",
)
OWN_LOSS = ("networks.decoder={type: noisy_mel}", "losses.l1.weight=0", "losses.spectral_convergence=null")


def rows(run, kind="train"):
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [row for row in log if row["kind"] == kind]


@pytest.mark.usefixtures("open_components")
def test_a_head_on_a_fitted_target_is_trained_transferred_and_not_needed_in_synthesis(recipe_folder, tiny):
    sets = (*HEAD, "scratch=false", "transfer.heads={}")
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", sets=sets) == 0
    exp = recipe_folder / "exp/tiny"
    assert all(row["loud/squared"] > 0 for row in rows(exp / "finetune") + rows(exp / "finetune", "valid"))
    saved = checkpoint.load(checkpoint.latest(exp / "finetune"))
    assert saved.meta.targets["loudness"]["mean"] > 0 and "heads.loud.linear.weight" in saved.weights
    ledger = json.loads((exp / "transfer/ledger.json").read_text())
    assert {e["status"] for e in ledger["entries"] if e["part"] == "heads"} == {"copied"}
    stored = list((recipe_folder / "data/train/targets").glob("loudness-*"))
    assert len(stored) == 1
    speech = v2skit.load(exp / "finetune").synthesise_crops(np.zeros((9, 96, 96), np.uint8), np.array(0))
    assert len(speech) == 9 * 960


@pytest.mark.usefixtures("open_components")
def test_a_decoder_with_its_own_loss_is_trained_with_it_and_validated_on_its_speech(recipe_folder, tiny):
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", sets=(*OWN_LOSS, "scratch=false")) == 0
    run = recipe_folder / "exp/tiny/finetune"
    assert all(row["total"] == pytest.approx(row["decoder/l2"]) and "l1" not in row for row in rows(run))
    assert all(row["total"] == pytest.approx(row["decoder/l2"]) and row["l1"] > 0 for row in rows(run, "valid"))
    ledger = json.loads((recipe_folder / "exp/tiny/transfer/ledger.json").read_text())
    assert ledger["shares"]["decoder"] == 1.0
    assert list((run / "samples").glob("*.wav"))


@pytest.mark.usefixtures("open_components")
def test_a_target_on_the_device_is_a_stream_of_each_batch(recipe_folder, tiny, capsys):
    sets = (
        "targets.level={type: mel_mean}",
        "networks.heads.level={type: linear_test, stream: level}",
        "losses.level={type: squared_test, stream: level, weight: 1}",
    )
    # (B,T) against (B,F): the loss compares other shapes, which shows that both streams are there.
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 1
    printed = capsys.readouterr().err
    assert "loss 'squared_test' (from v2skit) failed: RuntimeError: The size of tensor" in printed.splitlines()[-1]


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (HEAD[1:], "loss 'loud' compares 'loudness' with a target, and the config has none of this name"),
        ((HEAD[0], HEAD[2]), "loss 'loud' needs models with output loudness, this one has output mel; add a head"),
        ((*HEAD, "networks.heads.loud.on=decoder"), "networks.heads.loud.on: 'decoder' is neither"),
        ((*HEAD, "networks.heads.two={type: linear_test}"), "outputs 'loudness', which head 'loud' outputs already"),
        ((*HEAD, "networks.heads.items={type: linear_test, stream: x}"), "'items' can't be the name of a head"),
        ((*HEAD, "targets.mel={type: loudness}"), "targets.mel: every batch has 'mel' already"),
        (OWN_LOSS[:1], "loss 'l1' needs mel in training, but the decoder has a training loss of its own"),
        (("targets.text={type: letters, keep: z}",), "target 'text' has no values for any utterance of"),
        (("targets.loudness={type: loudness, scale: .nan}",), "expected a finite number"),
        (("targets.loudness={type: loudness, scale: 0}",), "target 'loudness' has no values for any utterance of"),
        (("targets.voicing={type: voicing}",), "target 'voicing' is computed from the target 'f0', which is not there"),
    ],
)
@pytest.mark.usefixtures("open_components")
def test_a_broken_chain_is_named_before_training(recipe_folder, tiny, capsys, sets, message):
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 1
    assert message in capsys.readouterr().err
    assert not list(recipe_folder.glob("exp/*/pretrain/checkpoint-*"))


@pytest.mark.usefixtures("open_components")
def test_a_target_fitted_to_other_data_does_not_resume_or_transfer(recipe_folder, tiny, capsys):
    assert stages(recipe_folder, tiny, "pretrain", "transfer", sets=HEAD) == 0
    train = recipe_folder / "data/train"
    utterances = read_manifest(train)
    write_manifest(train, utterances[:-1], json.loads((train / "settings.json").read_text()))
    capsys.readouterr()
    assert stages(recipe_folder, tiny, "transfer", sets=HEAD) == 1
    printed = capsys.readouterr()
    assert "target 'loudness' is fitted to" in printed.out
    assert "the target 'loudness' was fitted to other data or with other settings" in printed.err
    assert stages(recipe_folder, tiny, "finetune", sets=HEAD) == 1
    assert "have different targets 'loudness', fitted to other data" in capsys.readouterr().err


@pytest.mark.usefixtures("open_components")
def test_an_interrupted_computation_continues(recipe_folder, tiny, monkeypatch, capsys):
    from tests.open_components import Loudness

    calls, whole = [], Loudness.compute

    def interrupted(self, waveform, text):
        calls.append(len(waveform))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return whole(self, waveform, text)

    monkeypatch.setattr(Loudness, "compute", interrupted)
    assert stages(recipe_folder, tiny, "pretrain", sets=HEAD) == 130
    monkeypatch.setattr(Loudness, "compute", lambda *args: calls.append(0) or whole(*args))
    assert stages(recipe_folder, tiny, "pretrain", sets=HEAD) == 0
    assert calls.count(0) == 6 + 3 - 3  # audio and valid, but for the three that were there


def test_a_vocoder_of_another_stream_is_named(tiny):
    config = load_config(tiny)
    message = "vocoder 'griffin_lim' needs the stream 'mel', but the decoder outputs 'units'"
    with pytest.raises(UserError, match=message):
        build_vocoder(config, "units")


@pytest.mark.usefixtures("open_components")
def test_equal_seeds_give_equal_losses_with_heads(tiny):
    """A head changes neither the weights of the other parts nor their random numbers."""
    plain, with_head = load_config(tiny), load_config(tiny, HEAD)
    states = {"loudness": {"mean": 1.0}}
    first = build_model(plain, "v2a", ["a"]).state_dict()
    second = build_model(with_head, "v2a", ["a"], build_targets(with_head, states)).state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())
    assert set(second) - set(first) == {"heads.loud.linear.weight", "heads.loud.linear.bias"}
    assert Losses(with_head).weights["loud"] == 0.5
    assert with_head.networks.heads["loud"].on == "encoder" and isinstance(with_head.networks.heads["loud"], Component)


@pytest.mark.usefixtures("open_components")
def test_the_chain_is_checked_before_targets_are_computed(recipe_folder, tiny, capsys):
    sets = (*HEAD, "losses.other={type: squared_test, stream: nowhere, weight: 1}")
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 1
    assert "loss 'other' needs models with output nowhere" in capsys.readouterr().err
    assert not list(recipe_folder.glob("data/*/targets/loudness-*"))


@pytest.mark.usefixtures("open_components")
def test_a_head_that_no_loss_trains_is_named(recipe_folder, tiny, capsys):
    assert stages(recipe_folder, tiny, "pretrain", sets=HEAD[:2]) == 1
    assert "no loss is computed from 'loudness'" in capsys.readouterr().err


@pytest.mark.usefixtures("open_components")
def test_transcripts_that_are_added_later_are_read(recipe_folder, tiny, capsys):
    audio = recipe_folder / "data/audio"
    text = (audio / "text").read_text()
    (audio / "text").unlink()
    sets = ("targets.text={type: letters}",)
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 1
    assert "target 'text' has no values for any utterance of" in capsys.readouterr().err
    (audio / "text").write_text(text)
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 0


@pytest.mark.usefixtures("open_components")
def test_values_are_those_of_the_utterances_that_the_tables_have_now(recipe_folder, tiny):
    config, audio = load_config(tiny, HEAD), recipe_folder / "data/audio"
    recipe = Recipe(config, recipe_folder, recipe_folder / "exp", False, torch.device("cpu"))
    targets.store(recipe, targets.fit(recipe), ["audio"], "valid")
    utterances = read_manifest(audio)
    write_manifest(audio, utterances[1:], json.loads((audio / "settings.json").read_text()))
    fitted = targets.fit(recipe)
    targets.store(recipe, fitted, ["audio"], "valid")
    stream = targets.stored_streams(recipe, fitted, audio)["loudness"]
    assert stream.lengths.tolist() == [u.frames for u in utterances[1:]]


@pytest.mark.usefixtures("open_components")
def test_a_state_belongs_to_its_training_directories(recipe_folder, tiny):
    """Whichever config of a data folder runs first."""
    recipes = [
        Recipe(load_config(tiny, (*HEAD, f"data.pretrain={names}")), recipe_folder, recipe_folder / "exp", False, None)
        for names in ("[audio]", "[audio, valid]", "[audio]")
    ]
    first, second, again = (targets.fit(recipe).states["loudness"]["mean"] for recipe in recipes)
    assert first == again != second


@pytest.mark.usefixtures("open_components")
def test_a_target_that_fails_is_named_with_its_utterance(recipe_folder, tiny, monkeypatch, capsys):
    def fails(self, waveform, text):
        raise ValueError("oops")

    monkeypatch.setattr("tests.open_components.Letters.compute", fails)
    assert stages(recipe_folder, tiny, "pretrain", sets=("targets.text={type: letters}",)) == 1
    message = capsys.readouterr().err
    assert "utterance 's0-0000': target 'text': ValueError: oops" in message and "Traceback" not in message


@pytest.mark.usefixtures("open_components")
def test_a_target_on_the_device_of_another_length_is_named(recipe_folder, tiny, monkeypatch, capsys):
    monkeypatch.setattr("tests.open_components.MelMean.forward", lambda self, batch: batch.mel.mean(-1)[:, 1:])
    assert stages(recipe_folder, tiny, "pretrain", sets=("targets.level={type: mel_mean}",)) == 1
    assert "target 'mel_mean' (from v2skit) returned 'mel'" in capsys.readouterr().err


def test_a_visual_frontend_with_further_inputs_is_refused_before_training(tiny, monkeypatch):
    monkeypatch.setattr("v2skit.models.frontends.resnet3d.ResNet3dSmall.input", ("video", "mel"))
    with pytest.raises(UserError, match="needs mel in addition to the video, which synthesis does not have"):
        build_model(load_config(tiny), "v2a", ["a"])
