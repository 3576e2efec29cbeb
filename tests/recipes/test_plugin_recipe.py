"""Plug-in files of a recipe, from training to a pack: saved with what was trained, and run only where they may be."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import v2skit
from tests.conftest import make_data, stages
from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.registry import trust
from v2skit.registry.files import read_file

SOURCE = """
from torch import nn

import v2skit


@v2skit.hookimpl
def register_components(register):
    register("decoder", "mine", ":Mine")
    register("loss", "squared", ":Squared")
    register("metric", "peak", ":Peak")


class Mine(nn.Module):
    output = "mel"

    def __init__(self, in_dim, clock, mel, hidden: int = 4):
        super().__init__()
        self.n_mels, self.rate = mel.n_mels, mel.per_frame(clock)
        self.layers = nn.Sequential(nn.Linear(in_dim, hidden), nn.Linear(hidden, self.rate * mel.n_mels))

    def forward(self, x, mask):
        return (self.layers(x) * mask[..., None]).reshape(len(x), -1, self.n_mels)


class Squared(nn.Module):
    input = "mel"

    def forward(self, output, batch):
        return {"squared": (output.mel.float() - batch.mel)[batch.mel_mask()].square().mean()}


class Peak:
    protocol = "largest difference"
    higher_is_better = {"peak": False}

    def __call__(self, reference, hypothesis, rate):
        return {"peak": float(abs(reference - hypothesis).max())}
"""


@pytest.fixture
def recipe(recipe_folder: Path, tiny: Path) -> Path:
    """A recipe whose plug-in file is next to its config; its folder is that of the config."""
    (recipe_folder / "mine.py").write_text(SOURCE)
    tree = {
        "base": str(tiny), "plugins": ["mine.py"], "scratch": False,
        "networks": {"decoder": {"type": "mine", "hidden": 8}},
        "losses": {"squared": {"type": "squared", "weight": 1.0}},
        "scoring": {"metrics": {"peak": {"type": "peak"}}},
    }  # fmt: skip
    (recipe_folder / "conf.yaml").write_text(yaml.safe_dump(tree))
    return recipe_folder


@pytest.fixture
def stranger(monkeypatch) -> None:
    """As in a process whose config names no plug-in file."""
    monkeypatch.setattr(trust, "_named", set())


def run(recipe: Path, *names: str, sets: tuple[str, ...] = ()) -> int:
    return stages(recipe, recipe / "conf.yaml", *names, sets=sets)


def test_a_file_is_saved_and_all_stages_work_without_it(recipe, capsys, monkeypatch):
    monkeypatch.setattr(checkpoint, "prune", lambda run: None)
    assert run(recipe, "pretrain", sets=("pretrain.checkpoint_every=2",)) == 0
    shutil.rmtree(recipe / "exp/conf/pretrain/checkpoint-00000004")
    saved = checkpoint.read_meta(checkpoint.latest(recipe / "exp/conf/pretrain"))
    file = read_file(recipe / "mine.py")
    assert saved.config["plugins"] == [{"name": "mine.py", "digest": file.digest, "source": SOURCE}]
    assert saved.plugins["mine.py"] == file.digest
    assert (recipe / "exp/conf/plugins/mine.py").read_text() == SOURCE
    (recipe / "mine.py").unlink()
    monkeypatch.setattr(trust, "_named", set())
    assert run(recipe, "pretrain") == 1 and "use that with --trust-plugins" in capsys.readouterr().err
    all_stages = ("pretrain", "transfer", "finetune", "synth", "score")
    assert stages(recipe, recipe / "conf.yaml", *all_stages, more=("--trust-plugins",)) == 0
    text = capsys.readouterr().out
    assert "does not exist; its copy" in text and "resumed from step 2" in text
    rows = json.loads((recipe / "exp/conf/results.json").read_text())["rows"]
    assert rows["pretrained"]["peak"]["mean"] > 0


def test_a_changed_file_resumes_nothing_but_synthesises(recipe, capsys):
    assert run(recipe, "pretrain", "transfer", "finetune") == 0
    (recipe / "mine.py").write_text(SOURCE.replace('"mine"', '"another"'))
    assert run(recipe, "synth") == 0 and "was changed since the training; its copy" in capsys.readouterr().out
    (recipe / "mine.py").write_text(SOURCE.replace("nn.Linear(hidden, ", "nn.SiLU(), nn.Linear(hidden, "))
    for stage in ("pretrain", "finetune"):
        assert run(recipe, stage) == 1
        message = capsys.readouterr().err
        assert "was made with another version of plug-in mine.py" in message and "--force" in message
    assert main(["stage", "pretrain", "--force", "--config", str(recipe / "conf.yaml"), "--work_dir", str(recipe)]) == 0
    assert "SiLU" in (recipe / "exp/conf/plugins/mine.py").read_text()


def test_code_of_a_checkpoint_runs_only_where_it_is_trusted(recipe, capsys, stranger, tmp_path):
    assert run(recipe, "pretrain", "transfer", "finetune") == 0
    trust._named.clear()
    model = recipe / "exp/conf/finetune"
    with pytest.raises(UserError, match=r"runs the plug-in file mine.py saved in it; .* give --trust-plugins"):
        v2skit.load(model, device="cpu")
    assert v2skit.load(model, device="cpu", trust_plugins=True).config.networks.decoder.type == "mine"
    with pytest.raises(UserError, match="mine.py saved in it"):  # the permission ends with the call
        v2skit.load(model, device="cpu")
    make_data(tmp_path / "more", 1)
    command = [
        "synth-data",
        str(tmp_path / "more"),
        "--model",
        str(model),
        "-o",
        str(tmp_path / "out"),
        "--device",
        "cpu",
    ]
    assert main(command) == 1 and "--trust-plugins" in capsys.readouterr().err
    assert main([*command, "--trust-plugins"]) == 0 and list((tmp_path / "out").glob("*.wav"))
    assert main(["pack", str(recipe / "exp/conf"), "-o", str(tmp_path / "model.v2s")]) == 1
    assert "needs the plug-in file mine.py, which a pack can't hold; make a plug-in package" in capsys.readouterr().err


def test_a_class_by_its_path_is_trained_and_its_absence_is_named(recipe, capsys, monkeypatch):
    modules = recipe / "modules"
    modules.mkdir()
    (modules / "own_models.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(modules)
    monkeypatch.setattr(trust, "_named", set())
    tree = yaml.safe_load((recipe / "conf.yaml").read_text())
    del tree["plugins"], tree["scoring"]
    tree["networks"]["decoder"]["type"] = "own_models:Mine"
    tree["losses"]["squared"]["type"] = "own_models:Squared"
    (recipe / "conf.yaml").write_text(yaml.safe_dump(tree))
    assert run(recipe, "pretrain", "transfer", "finetune", "synth") == 0
    model = recipe / "exp/conf/finetune"
    assert checkpoint.read_meta(checkpoint.best(model)).plugins["own_models"] == ""
    trust._named.clear()
    with pytest.raises(UserError, match="runs the class own_models:.* of no installed package; if you trust"):
        v2skit.load(model, device="cpu")
    v2skit.load(model, device="cpu", trust_plugins=True)
    assert main(["pack", str(recipe / "exp/conf"), "-o", str(recipe / "model.v2s")]) == 1
    assert "needs own_models:" in capsys.readouterr().err
    monkeypatch.delitem(sys.modules, "own_models")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path != str(modules)])
    with pytest.raises(UserError, match=r"was made with plug-in 'own_models', which is not installed; install that"):
        v2skit.load(model, device="cpu", trust_plugins=True)
    assert run(recipe, "pretrain") == 1
    message = capsys.readouterr().err
    assert (
        f"{recipe}/conf.yaml: networks.decoder: decoder 'own_models:Mine' (from own_models) can't be loaded" in message
    )


def test_a_file_that_no_component_comes_from_is_not_needed_by_the_model(recipe, capsys, stranger):
    tree = yaml.safe_load((recipe / "conf.yaml").read_text())
    (recipe / "unused.py").write_text(SOURCE)
    tree = {"base": tree["base"], "scratch": False, "plugins": ["unused.py"]}
    (recipe / "conf.yaml").write_text(yaml.safe_dump(tree))
    assert run(recipe, "pretrain", "transfer", "finetune") == 0
    trust._named.clear()
    assert v2skit.load(recipe / "exp/conf/finetune", device="cpu").config.plugins == []
    assert main(["pack", str(recipe / "exp/conf"), "-o", str(recipe / "model.v2s")]) == 0
    (recipe / "unused.py").write_text(SOURCE + "x = 1\n")  # its hooks may have changed the training
    assert run(recipe, "finetune") == 1 and "another version of plug-in unused.py" in capsys.readouterr().err


def test_a_file_with_scores_only_may_change_and_is_scored_again(recipe, capsys, stranger):
    tree = yaml.safe_load((recipe / "conf.yaml").read_text())
    (recipe / "scores.py").write_text(SOURCE.replace('"mine"', '"unused"').replace('"squared"', '"another"'))
    (recipe / "mine.py").write_text(SOURCE.replace('    register("metric", "peak", ":Peak")\n', ""))
    (recipe / "conf.yaml").write_text(yaml.safe_dump({**tree, "plugins": ["mine.py", "scores.py"]}))
    assert run(recipe, "pretrain", "transfer", "finetune", "synth", "score") == 0
    before = json.loads((recipe / "exp/conf/results.json").read_text())["rows"]["pretrained"]["peak"]["mean"]
    assert (recipe / "exp/conf/plugins/others/scores.py").is_file()
    path = recipe / "scores.py"
    path.write_text(path.read_text().replace(".max()", ".max() + 1"))
    trust._named.clear()
    shutil.rmtree(recipe / "exp/conf/synth")
    assert run(recipe, "pretrain", "synth", "score") == 0
    after = json.loads((recipe / "exp/conf/results.json").read_text())["rows"]["pretrained"]["peak"]["mean"]
    assert after == pytest.approx(before + 1)
    path.unlink()
    assert run(recipe, "score") == 1 and "use that with --trust-plugins" in capsys.readouterr().err
    assert stages(recipe, recipe / "conf.yaml", "score", more=("--trust-plugins",)) == 0
    assert "others/scores.py is used" in capsys.readouterr().out


def test_a_model_is_loaded_and_packed_without_the_file_of_its_metrics_and_losses(recipe, capsys, stranger, tmp_path):
    tree = yaml.safe_load((recipe / "conf.yaml").read_text())
    del tree["networks"]
    (recipe / "conf.yaml").write_text(yaml.safe_dump(tree))
    assert run(recipe, "pretrain", "transfer", "finetune") == 0
    trust._named.clear()
    config = v2skit.load(recipe / "exp/conf/finetune", device="cpu").config
    assert "squared" not in config.losses and "peak" not in config.scoring.metrics and config.plugins == []
    out = tmp_path / "model.v2s"
    assert main(["pack", str(recipe / "exp/conf"), "-o", str(out)]) == 0
    assert "squared" not in v2skit.load(out, device="cpu").config.losses
    (recipe / "mine.py").write_text(SOURCE + "x = 1\n")  # the training depends on it all the same
    assert run(recipe, "finetune") == 1 and "another version of plug-in mine.py" in capsys.readouterr().err


HOOKS = """
import v2skit


@v2skit.hookimpl
def step_finished(run, step, values):
    with (run.folder / "steps.txt").open("a") as file:
        file.write(f"{step} ")


@v2skit.hookimpl
def report_section(exp):
    return "## Of a file"
"""


def test_hooks_of_a_file_are_called_in_the_stages_of_its_recipe_only(recipe, tiny, capsys):
    (recipe / "hooks.py").write_text(HOOKS)
    tree = yaml.safe_load((recipe / "conf.yaml").read_text())
    (recipe / "conf.yaml").write_text(yaml.safe_dump({**tree, "plugins": ["mine.py", "hooks.py"]}))
    assert run(recipe, "pretrain", "transfer", "finetune", "synth", "score") == 0
    assert (recipe / "exp/conf/pretrain/steps.txt").read_text() == "1 2 3 4 "
    assert "## Of a file" in (recipe / "exp/conf/results.md").read_text()
    assert main(["plugins", "--config", str(recipe / "conf.yaml")]) == 0
    assert "\n  hook report_section\n  hook step_finished\n" in capsys.readouterr().out
    assert stages(recipe, tiny, "pretrain") == 0 and not (recipe / "exp/tiny/pretrain/steps.txt").exists()
