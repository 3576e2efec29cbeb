"""Parts start from files, with a ledger; what can't be copied is named, and statistics of a frozen part exist."""

import json
import re

import pytest
import torch
import yaml
from safetensors.torch import save_file

from tests.conftest import stages, vocoder_config
from tests.registry.installed import Stops, installed
from v2skit.config.load import load_config
from v2skit.config.parts import Part
from v2skit.data.targets import Targets
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.models.build import build_model
from v2skit.models.layers.dual_norm import DualBatchNorm
from v2skit.training.initialise import initial_digests, initialise


def saved_model(tiny, folder, task, *overrides, speakers=("a",), targets=None) -> dict:
    """Write a checkpoint whose weights are all shifted by one, and whose audio statistics were trained."""
    config = load_config(tiny, overrides)
    state = build_model(config, task, list(speakers)).state_dict()
    state = {n: v if n.endswith(("video_mean", "video_var")) else v + 1 for n, v in state.items()}
    meta = checkpoint.new_meta(config, task, list(speakers), targets=targets or {})
    checkpoint.save(checkpoint.Checkpoint(meta, state), folder)
    return state


def outcomes(ledger, part: str) -> dict:
    return {entry.tensor: entry for entry in ledger.entries if entry.part == part}


def test_a_part_is_copied_and_every_tensor_is_in_the_ledger(tiny, tmp_path):
    theirs, config = saved_model(tiny, tmp_path / "a", "a2a"), load_config(tiny)
    model = build_model(config, "v2a", ["b"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parts = {"decoder": Part(init=str(tmp_path / "a")), "encoder": Part(learning_rate_factor=0.5)}
    ledger = initialise(model, parts, "v2a", config, ["b"])
    for name, value in model.state_dict().items():
        assert torch.equal(value, theirs[name] if name.startswith("decoder.") else before[name]), name
    found = outcomes(ledger, "decoder")
    assert found.keys() == theirs.keys() and ledger.shares == {"decoder": 1.0}
    for name, entry in found.items():
        assert entry.status == ("copied" if name.startswith("decoder.") else "left out")
        assert (entry.shape is None) == (entry.status == "left out")
    ledger.write(tmp_path, "model", "file")
    assert "| tensor | outcome | model shape | file shape |" in (tmp_path / "ledger.md").read_text()
    assert json.loads((tmp_path / "ledger.json").read_text())["shares"] == {"decoder": 1.0}
    assert initialise(model, {"encoder": Part(learning_rate_factor=0.5)}, "v2a", config, ["b"]) is None


def test_what_does_not_fit_is_an_error_unless_it_may_be_left_out(tiny, tmp_path):
    theirs = saved_model(tiny, tmp_path / "a", "a2a", "networks.encoder.ff_dim=20", "mel.floor=1e-3")
    config = load_config(tiny)
    model = build_model(config, "v2a", ["a"])
    before = {name: value.clone() for name, value in model.state_dict().items()}
    part = Part(init=str(tmp_path / "a"))
    with pytest.raises(UserError, match=r"do not share their mel settings \(floor: 0.0001 in this config"):
        initialise(model, {"decoder": part}, "v2a", config, ["a"])
    saved_model(tiny, tmp_path / "a", "a2a", "networks.encoder.ff_dim=20")
    with pytest.raises(
        UserError, match=r"(?s)parts.encoder.init: .*: shape 20 in the file, 16 in this model.*init_strict"
    ):
        initialise(model, {"encoder": part}, "v2a", config, ["a"])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    ledger = initialise(model, {"encoder": Part(init=part.init, init_strict=False)}, "v2a", config, ["a"])
    found = outcomes(ledger, "encoder")
    assert {entry.status for entry in found.values()} == {"copied", "shape differs", "left out"}
    assert 0 < ledger.shares["encoder"] < 1
    for name, value in model.state_dict().items():
        copied = name in found and found[name].status == "copied"
        assert torch.equal(value, theirs[name] if copied else before[name])
    save_file({"decoder.other": torch.ones(2)}, tmp_path / "b.safetensors")
    nothing = Part(init=str(tmp_path / "b.safetensors"), init_strict=False)
    with pytest.raises(UserError, match=r"(?s)can't initialise it:.*decoder.other: this model does not have it"):
        initialise(model, {"decoder": nothing}, "v2a", config, ["a"])
    save_file(
        {f"decoder.{n}": v * torch.nan for n, v in model.decoder.state_dict().items()}, tmp_path / "c.safetensors"
    )
    with pytest.raises(UserError, match=r"weights that are not finite, e.g. decoder"):
        initialise(model, {"decoder": Part(init=str(tmp_path / "c.safetensors"))}, "v2a", config, ["a"])


def test_a_visual_frontend_does_not_depend_on_mel_and_targets(tiny, tmp_path):
    theirs = saved_model(tiny, tmp_path / "a", "v2a", "mel.floor=1e-3", targets={"tokens": {"size": 3}})
    saved_model(tiny, tmp_path / "b", "v2a", "clock.fps=50")
    config, targets = load_config(tiny), Targets({}, {"tokens": {"size": 2}})
    model = build_model(config, "v2a", ["a"])
    assert initialise(
        model, {"visual_frontend": Part(init=str(tmp_path / "a"))}, "v2a", config, ["a"], targets
    ).shares == {"visual_frontend": 1.0}
    assert all(torch.equal(v, theirs[n]) for n, v in model.state_dict().items() if n.startswith("frontend."))
    with pytest.raises(UserError, match=r"\(fps: 25 in this config, 50 in "):
        initialise(model, {"visual_frontend": Part(init=str(tmp_path / "b"))}, "v2a", config, ["a"])


def test_a_speaker_table_of_others_and_a_part_without_weights_are_refused(tiny, tmp_path):
    saved_model(tiny, tmp_path / "a", "a2a")
    config, part = load_config(tiny), {"speaker": Part(init=str(tmp_path / "a"))}
    model = build_model(config, "v2a", ["b"])
    with pytest.raises(UserError, match=r"parts.speaker.init: .* has other speakers than this run \(1\)"):
        initialise(model, part, "v2a", config, ["b"])
    assert initialise(model, part, "v2a", config, ["a"]).shares == {"speaker": 1.0}
    without = load_config(tiny, ["networks.speaker={type: none}"])
    with pytest.raises(UserError, match=r"parts.speaker.init: this model has no weights in its part speaker"):
        initialise(build_model(without, "v2a", []), part, "v2a", without, [])


def norms(module) -> list[DualBatchNorm]:
    return [part for part in module.modules() if isinstance(part, DualBatchNorm)]


def test_a_frozen_part_without_statistics_adopts_those_of_the_other_modality(tiny, tmp_path):
    saved_model(tiny, tmp_path / "a", "a2a")
    config = load_config(tiny)
    for frozen in ("none", "weights", "all"):
        model = build_model(config, "v2a", ["a"])
        part = Part(init=str(tmp_path / "a"), frozen=frozen)
        ledger = initialise(model, {"encoder": part}, "v2a", config, ["a"])
        assert norms(model.encoder)
        for norm in norms(model.encoder):
            assert (norm.audio_mean == 1).all() and (norm.audio_var == 2).all()
            assert (norm.video_mean == (1 if frozen == "all" else 0)).all()
        sources = {e.tensor: e.source for e in ledger.entries if e.source}
        assert bool(sources) == (frozen == "all")
        assert all(source == tensor.replace("video_", "audio_") for tensor, source in sources.items())
    ledger.write(tmp_path)
    assert "batch_norm.video_mean | copied from encoder.blocks.0" in (tmp_path / "ledger.md").read_text()


def test_statistics_that_were_trained_are_kept():
    norm = DualBatchNorm(2)
    norm.modality = "video"
    assert norm.adopt() == {}  # neither was trained
    norm.audio_mean.fill_(3)
    norm.video_var.fill_(2)
    assert norm.adopt() == {} and (norm.video_mean == 0).all()
    norm.video_var.fill_(1)
    assert norm.adopt() == {"video_mean": "audio_mean", "video_var": "audio_var"}
    assert (norm.video_mean == 3).all()


def test_a_run_is_initialised_recorded_and_not_resumed_with_another_file(recipe_folder, tiny, tmp_path, capsys):
    assert stages(recipe_folder, tiny, "pretrain") == 0
    first = recipe_folder / "exp/tiny/pretrain"
    decoder = checkpoint.load(checkpoint.best(first)).inference_weights
    decoder = {n.removeprefix("decoder."): v for n, v in decoder.items() if n.startswith("decoder.")}
    file = tmp_path / "decoder.safetensors"
    save_file(decoder, file)
    init = f'parts.decoder={{init: {file}, init_prefix: {{"": ""}}, frozen: all}}'
    sets = (init, "scratch=false", f"parts.visual_frontend.init={tmp_path / 'later.pt'}")
    other = tmp_path / "other.yaml"
    other.write_text(tiny.read_text())
    half = (*sets, "pretrain.checkpoint_every=2")
    assert stages(recipe_folder, other, "pretrain", sets=half) == 0
    assert "note: parts.visual_frontend.init does not exist yet; stage 4 starts from it" in capsys.readouterr().out
    run = recipe_folder / "exp/other/pretrain"
    assert json.loads((run / "ledger.json").read_text())["shares"] == {"decoder": 1.0}
    trained = checkpoint.load(checkpoint.latest(run))
    for weights in (trained.weights, trained.averaged):
        assert all(torch.equal(value, weights[f"decoder.{name}"]) for name, value in decoder.items())
    save_file({name: value + 1 for name, value in decoder.items()}, file)
    capsys.readouterr()
    for name in ("pretrain", "transfer"):
        assert stages(recipe_folder, other, name, sets=sets) == 1
        assert "parts.decoder.init has other weights now" in capsys.readouterr().err
    file.unlink()
    assert stages(recipe_folder, other, "pretrain", sets=sets) == 0  # what is trained does not need it
    assert stages(recipe_folder, other, "transfer", sets=sets) == 0
    assert stages(recipe_folder, other, "pretrain", sets=(*sets, "pretrain.steps=5")) == 1
    assert "pretrain.steps: 4 there, 5 now" in capsys.readouterr().err
    assert stages(recipe_folder, other, "finetune", sets=sets) == 1
    assert "parts.visual_frontend.init: " in (message := capsys.readouterr().err) and "does not exist" in message


def test_a_file_without_weights_for_stage_4_is_refused_before_the_pre_training(recipe_folder, tiny, tmp_path, capsys):
    (tmp_path / "notes.pt").write_text("no weights")
    assert stages(recipe_folder, tiny, "pretrain", sets=(f"parts.visual_frontend.init={tmp_path / 'notes.pt'}",)) == 1
    assert "notes.pt can't be read as weights" in capsys.readouterr().err
    assert not (recipe_folder / "exp/tiny/pretrain").exists()


def test_a_run_resumes_without_its_initial_weights(recipe_folder, tiny, tmp_path, capsys):
    saved_model(tiny, tmp_path / "a", "a2a", speakers=("s0", "s1"))
    sets = (f"parts.decoder.init={tmp_path / 'a'}", "pretrain.checkpoint_every=2")
    with installed(stops=Stops(3)):
        assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 1
    record = recipe_folder / "exp/tiny/pretrain/config.yaml"
    before = yaml.safe_load(record.read_text())["made_from"]
    (tmp_path / "a").rename(tmp_path / "b")
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 0
    assert "resumed from step 2" in capsys.readouterr().out
    assert before["parts.decoder"] and yaml.safe_load(record.read_text())["made_from"] == before


def test_a_run_does_not_resume_with_another_look_ahead_of_its_layers(recipe_folder, tiny, capsys):
    decoder = "networks.decoder={type: flow_mel, dim: 8, blocks: 2, steps: 4, look_ahead_frames: 1}"
    sets = (decoder, "pretrain.checkpoint_every=2")
    with installed(stops=Stops(3)):
        assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 1
    # Without a limit, steps may change at any time; here they would move the kernels.
    assert stages(recipe_folder, tiny, "pretrain", sets=(*sets, "networks.decoder.steps=1")) == 1
    message = r"decoder\.blocks\.0\..* was trained with another look-ahead \(\d+ -> \d+ frames\); resume with"
    assert re.search(message, capsys.readouterr().err)
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 0
    assert "resumed from step 2" in capsys.readouterr().out


def test_a_transferred_part_can_be_frozen_with_its_statistics(recipe_folder, tiny):
    sets = ("transfer.encoder={frozen: all, frozen_steps: null}", "scratch=false", "networks.encoder.dropout=0.2")
    assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", sets=sets) == 0
    exp = recipe_folder / "exp/tiny"
    before = checkpoint.load(exp / "transfer/init").weights
    after = checkpoint.load(checkpoint.latest(exp / "finetune"))
    encoder = [name for name in before if name.startswith("encoder.")]
    statistics = [name for name in encoder if name.endswith(("video_mean", "video_var"))]
    assert statistics
    for weights in (after.weights, after.averaged):
        for name in encoder:
            source = name.replace(".video_", ".audio_") if name in statistics else name
            assert torch.equal(weights[name], before[source]), name
    entries = json.loads((exp / "finetune/ledger.json").read_text())["entries"]
    assert sorted(entry["tensor"] for entry in entries) == sorted(statistics)
    assert not torch.equal(after.weights["decoder.linear.weight"], before["decoder.linear.weight"])


def test_a_vocoder_starts_from_another_one(recipe_folder, tiny, tmp_path, capsys):
    config = vocoder_config(tmp_path, tiny)
    assert stages(recipe_folder, config, "pretrain") == 0
    again = tmp_path / "again.yaml"
    again.write_text(config.read_text())
    sets = ("parts.generator={init: exp/vocoder, learning_rate_factor: 0.0}",)
    assert initial_digests(load_config(again, sets).parts, "vocoder", existing=True) == {}
    sets = (sets[0].replace("exp/vocoder", str(recipe_folder / "exp/vocoder")),)
    assert stages(recipe_folder, again, "pretrain", sets=sets) == 0
    ours, theirs = (
        checkpoint.load(checkpoint.latest(recipe_folder / f"exp/{name}/pretrain")) for name in ("again", "vocoder")
    )
    wanted = theirs.inference_weights
    for name in load_generator_names(wanted):
        assert torch.equal(ours.weights[name], wanted[name])
    assert stages(recipe_folder, config, "pretrain", sets=("parts.decoder={}",)) == 1
    assert "parts.decoder: no such part; known: generator" in capsys.readouterr().err


def load_generator_names(weights: dict) -> list[str]:
    names = [name for name, value in weights.items() if name.startswith("generator.") and value.is_floating_point()]
    assert names
    return names


def test_what_another_part_has_of_the_same_file_is_not_left_out(tiny, tmp_path):
    saved_model(tiny, tmp_path / "a", "a2a", "networks.decoder_speaker=false")
    config, model = load_config(tiny), build_model(load_config(tiny), "v2a", ["b"])
    parts = {name: Part(init=str(tmp_path / "a")) for name in ("decoder", "encoder")}
    ledger = initialise(model, parts, "v2a", config, ["b"])
    left_out = [entry.tensor for entry in ledger.entries if entry.status == "left out"]
    assert left_out and len(left_out) == len(set(left_out))
    assert not [name for name in left_out if name.startswith(("decoder.", "encoder."))]
