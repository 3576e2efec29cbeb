"""The loggers of W&B and MLflow: a missing package is named; offline, a run is logged and goes on under its id."""

import importlib
import sys

import pytest
import yaml

from tests.conftest import ROOT, stages
from tests.registry.installed import Stops, installed
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.testing import check_logger


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Both plug-ins, as if they were installed."""
    plugins.load.cache_clear()
    for name in ("wandb", "mlflow"):
        monkeypatch.syspath_prepend(str(ROOT / f"plugins/v2skit-{name}"))
        module = importlib.import_module(f"v2skit_{name}")
        if "logger " + name not in [f"{entry.kind} {entry.name}" for entry in plugins.registry().entries()]:
            module.register_components(lambda kind, name, target: plugins.registry().add(kind, name, target, "test"))
            plugins.load()[1].append(plugins.Plugin("test", "1"))
    for variable in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    yield
    plugins.load.cache_clear()


def offline(name: str, **more) -> Component:
    return Component(name, {**({"mode": "offline"} if name == "wandb" else {}), **more}, kind="logger")


def package(name: str):
    return pytest.importorskip(name, reason=f"{name} is missing; pip install ./plugins/v2skit-{name}")


@pytest.mark.parametrize(
    ("name", "command"), [("wandb", "pip install 'wandb"), ("mlflow", "pip install mlflow-skinny")]
)
def test_without_its_package_training_does_not_begin(name, command, recipe_folder, tiny, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    assert stages(recipe_folder, tiny, "pretrain", sets=(f"loggers.{name}={{type: {name}}}",)) == 1
    message = capsys.readouterr().err
    assert f"logger '{name}'" in message and command in message
    assert not (recipe_folder / "exp/tiny/pretrain").exists()


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_contract(name, tmp_path):
    package(name)
    (tmp_path / "exp/pretrain").mkdir(parents=True)
    check_logger(lambda: build("logger", offline(name)), tmp_path / "exp/pretrain")


def interrupted_run(folder, tiny, name: str, **more):
    """A run with this logger, which fails after step 3 and resumes from the checkpoint of step 2."""
    arguments = ", ".join(f"{key}: {value}" for key, value in {"type": name, **offline(name, **more).args}.items())
    sets = (f"loggers.{name}={{{arguments}}}", "pretrain.checkpoint_every=2", "pretrain.validate_every=2")
    run = folder / "exp/tiny/pretrain"
    with installed(stops=Stops(3)):
        assert stages(folder, tiny, "pretrain", sets=sets) == 1
    assert stages(folder, tiny, "pretrain", sets=(*sets, "pretrain.workers=1")) == 0
    return run


def test_a_run_is_logged_to_mlflow_and_goes_on_under_its_id(recipe_folder, tiny, capsys):
    mlflow = package("mlflow")
    run = interrupted_run(recipe_folder, tiny, "mlflow")
    assert "failed and is left out" not in capsys.readouterr().err
    client = mlflow.MlflowClient(tracking_uri=(run.parent / "mlruns").as_uri())
    (found,) = client.search_runs([client.get_experiment_by_name("v2skit").experiment_id])
    assert found.info.run_id == (run / "mlflow_run_id").read_text().strip()
    assert (found.info.run_name, found.info.status) == ("tiny/pretrain", "FINISHED")
    assert found.data.params["networks.encoder.type"] == "conformer" and found.data.params["pretrain.workers"] == "0"
    steps = [metric.step for metric in client.get_metric_history(found.info.run_id, "train/total")]
    assert sorted(steps) == [1, 2, 3, 3, 4]  # 3 was repeated
    assert {m.step for m in client.get_metric_history(found.info.run_id, "valid/total")} == {2, 4}
    samples = {artifact.path for artifact in client.list_artifacts(found.info.run_id, "samples")}
    assert samples == {f"samples/step-0000000{n}{rest}" for n in (2, 4) for rest in ("-predicted.wav", ".png")}
    config = yaml.safe_load((run.parent / "mlruns" / found.info.experiment_id / found.info.run_id
                             / "artifacts/config.yaml").read_text())  # fmt: skip
    assert config["pretrain"]["workers"] == 1


def test_a_run_that_mlflow_lost_is_named(tmp_path):
    package("mlflow")
    run = tmp_path / "exp/pretrain"
    run.mkdir(parents=True)
    (run / "mlflow_run_id").write_text("0123456789abcdef0123456789abcdef\n")
    with pytest.raises(UserError, match="does not go on with run '0123.*delete .*mlflow_run_id to begin a new one"):
        build("logger", offline("mlflow")).start(run, "pretrain", 0, {"seed": 1})


def test_a_server_of_mlflow_that_is_away_is_an_error_before_training(recipe_folder, tiny, capsys):
    package("mlflow")
    uri = "loggers.mlflow={type: mlflow, tracking_uri: 'http://127.0.0.1:9'}"
    assert stages(recipe_folder, tiny, "pretrain", sets=(uri,)) == 1
    message = capsys.readouterr().err
    assert "logger 'mlflow' can't start" in message and "--set loggers.mlflow=null" in message
    assert checkpoint.latest(recipe_folder / "exp/tiny/pretrain") is None


def test_a_run_is_logged_to_wandb_and_goes_on_under_its_id(recipe_folder, tiny, capsys):
    package("wandb")
    run = interrupted_run(recipe_folder, tiny, "wandb", project="mine")
    assert "failed and is left out" not in capsys.readouterr().err
    known = (run / "wandb_id").read_text().strip()
    first, second = sorted(run.glob("wandb/offline-run-*"))
    assert first.name.endswith(known) and second.name.endswith(known)
    for folder in (first, second):
        content = (folder / f"run-{known}.wandb").read_bytes()
        for text in (b"mine", b"tiny/pretrain", b"train/total", b"valid/total", b"conformer", b"samples/predicted"):
            assert text in content
        assert list(folder.glob("files/media/audio/samples/*.wav")) and list(folder.rglob("*.png"))
