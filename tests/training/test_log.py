"""The log of a run: its loggers are given all entries, one that fails is left out, one that can't start is an error."""

import json
import time

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.conftest import stages
from tests.registry.installed import Stops, installed
from v2skit.config.load import check_config, load_config, to_tree
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.recipes import run_record
from v2skit.registry import plugins
from v2skit.training.log import RunLog
from v2skit.training.optimiser import schedule
from v2skit.training.samples import Sample


class Recorder:
    """Records its calls; fails in a chosen method."""

    calls: list

    def __init__(self, fails_in: str = ""):
        type(self).calls, self.fails_in = [], fails_in

    def _keep(self, method, *arguments):
        if method == self.fails_in:
            raise ConnectionError("no route to host")
        self.calls.append((method, *arguments))

    def start(self, run, name, step, config):
        self._keep("start", name, step, config["seed"])

    def log(self, step, kind, values):
        self._keep("log", step, kind, values)

    def audio(self, step, name, waveform, rate):
        self._keep("audio", step, name, waveform.shape, rate)

    def image(self, step, name, path):
        self._keep("image", step, name, path.name)

    def close(self, status):
        self._keep("close", status)


class Leaving(Recorder):
    def log(self, step, kind, values):
        raise SystemExit(3)


@pytest.fixture
def recorder():
    plugins.load.cache_clear()
    for name in ("Recorder", "Leaving"):
        plugins.registry().add("logger", name.lower(), f"{__name__}:{name}", "v2skit")
    yield Recorder
    plugins.load.cache_clear()


def curve(run, name: str) -> list:
    board = EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    return [(point.step, round(point.value, 4)) for point in board.Scalars(name)]


def test_a_logger_receives_losses_samples_and_the_end(recorder, recipe_folder, tiny, capsys):
    sets = ("loggers.mine={type: recorder}", "loggers.leaving={type: leaving}", "pretrain.log_every=2")
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 0
    calls, run = recorder.calls, recipe_folder / "exp/tiny/pretrain"
    assert calls[0] == ("start", "pretrain", 0, 1) and calls[-1] == ("close", "finished")
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    logged = [call[1:] for call in calls if call[0] == "log"]
    assert [{"step": step, "kind": kind, **values} for step, kind, values in logged] == lines
    assert [(step, kind) for step, kind, _ in logged] == [(2, "train"), (4, "train"), (4, "valid")]
    assert curve(run, "train/total") == [(line["step"], round(line["total"], 4)) for line in lines[:2]]
    (audio,), (image,) = ([call for call in calls if call[0] == method] for method in ("audio", "image"))
    assert audio[1:3] == (4, "predicted") and audio[3][0] % 960 == 0 and audio[4] == 24000
    assert image == ("image", 4, "mel", "step-00000004.png")
    message = capsys.readouterr().err
    assert message.count("logger 'leaving' failed and is left out from now on: it ends the process") == 1


def test_in_a_log_file_the_loss_is_in_the_lines_of_the_bar_only(tmp_path, capsys):
    log = RunLog(tmp_path, "pretrain", 0, 50, {}, {"seed": 1})
    for step in range(1, 51):
        log.step(0.0)
        log.write(step, "train", {"total": step / 10})
    log.close("finished")
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith("pretrain:   0%") and last.startswith("pretrain: 100%") and "loss 5.000" in last


class Near(Recorder):
    """A logger beside one that fails."""


@pytest.mark.parametrize(("method", "calls"), [("log", 2), ("audio", 3), ("close", 7)])
def test_a_logger_that_fails_is_named_once_and_the_others_go_on(tmp_path, capsys, method, calls):
    log = RunLog(tmp_path, "pretrain", 0, 2, {"far": Recorder(method), "near": Near()}, {"seed": 1})
    for step in (1, 2):
        log.write(step, "train", {"total": 1.0})
        log.sample(step, Sample(np.zeros(3, np.float32), 8000, tmp_path / "x.png"))
    log.close("finished")
    message = capsys.readouterr().err
    assert message.count("logger 'far' failed and is left out from now on: ConnectionError: no route to host") == 1
    assert len(Recorder.calls) == calls and (method == "close" or Recorder.calls[-1] == ("close", "failed"))
    assert [call[0] for call in Near.calls] == [
        "start", *("log", "audio", "image") * 2, "close",
    ]  # fmt: skip


def test_values_that_a_logger_changes_stay_the_trainers(tmp_path):
    class Changing(Recorder):
        def log(self, step, kind, values):
            values.clear()

    log, values = RunLog(tmp_path, "pretrain", 0, 2, {"one": Changing()}, {"seed": 1}), {"total": 1.0}
    log.write(1, "valid", values)
    assert values == {"total": 1.0}


def test_a_logger_that_cannot_start_is_an_error_and_closes_the_others(recorder, recipe_folder, tiny, capsys):
    sets = ("loggers.mine={type: recorder, fails_in: start}", "loggers.jsonl=null")
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 1
    message = capsys.readouterr().err
    assert "logger 'mine' can't start: ConnectionError: no route to host" in message and "loggers.mine=null" in message
    assert checkpoint.latest(recipe_folder / "exp/tiny/pretrain") is None
    first, second = Recorder(), Leaving("start")
    with pytest.raises(UserError, match="logger 'second' can't start"):
        RunLog(recipe_folder, "pretrain", 0, 2, {"first": first, "second": second}, {"seed": 1})
    assert Recorder.calls == [("start", "pretrain", 0, 1), ("close", "failed")]


def test_a_repeated_run_whose_logger_cannot_start_is_kept(recorder, recipe_folder, tiny):
    assert stages(recipe_folder, tiny, "pretrain") == 0
    run = recipe_folder / "exp/tiny/pretrain"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    sets = ("loggers.mine={type: recorder, fails_in: start}", "seed=7")
    assert stages(recipe_folder, tiny, "pretrain", sets=sets, more=("--force",)) == 1
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert stages(recipe_folder, tiny, "pretrain", sets=("seed=7",), more=("--force",)) == 0
    assert before[run / run_record.NAME] != (run / run_record.NAME).read_bytes()


def test_the_logged_learning_rate_has_no_factor_of_a_part(recipe_folder, tiny):
    sets = ("parts.audio_frontend.learning_rate_factor=0.5", "loggers.tensorboard=null")
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 0
    lines = map(json.loads, (recipe_folder / "exp/tiny/pretrain/log.jsonl").read_text().splitlines())
    rates = [line["learning_rate"] for line in lines if line["kind"] == "train"]
    settings = load_config(tiny).pretrain
    assert rates == [settings.learning_rate * schedule(step, settings) for step in range(4)] and rates[0]


def test_a_logger_gets_digests_of_plugin_files_without_their_source(recorder, recipe_folder, tiny):
    class Keeping(Recorder):
        def start(self, run, name, step, config):
            type(self).config = config

    plugins.registry().add("logger", "keeping", f"{__name__}:Keeping", "v2skit")
    globals()["Keeping"] = Keeping
    (tiny.parent / "watched.py").write_text("import v2skit\n\n\n@v2skit.hookimpl\ndef validated():\n    pass\n")
    sets = (f"plugins=[{tiny.parent / 'watched.py'}]", "loggers.mine={type: keeping}")
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 0
    (file,) = Keeping.config["plugins"]
    assert file == {"name": "watched.py", "digest": load_config(tiny, sets).plugins[0].digest}


def test_loggers_add_to_the_default_and_can_be_left_out(recorder, tiny, recipe_folder, capsys):
    assert list(load_config(tiny).loggers) == ["jsonl", "tensorboard"]
    config = load_config(tiny, ["loggers.mine={type: recorder}", "loggers.tensorboard=null"])
    assert list(config.loggers) == ["jsonl", "mine"] and check_config(to_tree(config)) == config
    with pytest.raises(UserError, match="loggers has no 'wandb' to leave out"):
        load_config(tiny, ["loggers.wandb=null"])
    with pytest.raises(UserError, match="unknown logger 'tensorbord'; did you mean 'tensorboard'"):
        load_config(tiny, ["loggers.mine={type: tensorbord}"])
    assert stages(recipe_folder, tiny, "pretrain", sets=("loggers.tensorboard=null", "loggers.jsonl=null")) == 0
    assert not {"log.jsonl", "tensorboard"} & {path.name for path in (recipe_folder / "exp/tiny/pretrain").iterdir()}


def test_a_checkpoint_and_a_finished_run_need_no_logger(recorder, recipe_folder, tiny, capsys):
    """A model is used where the package of its training's logger is not installed."""
    assert stages(recipe_folder, tiny, "pretrain", sets=("loggers.mine={type: recorder}",)) == 0
    plugins.load.cache_clear()
    saved = checkpoint.read_meta(checkpoint.latest(recipe_folder / "exp/tiny/pretrain"))
    assert saved.plugins.keys() == {"v2skit"} and "loggers" not in saved.config
    assert check_config(saved.config).loggers == load_config(tiny).loggers
    capsys.readouterr()
    assert stages(recipe_folder, tiny, "pretrain") == 0 and "is finished, skipped" in capsys.readouterr().out


def test_curves_of_repeated_steps_are_replaced(recipe_folder, tiny):
    """As after a kill: a step beyond the newest checkpoint is logged, and will be repeated."""
    sets, run = ("pretrain.checkpoint_every=2",), recipe_folder / "exp/tiny/pretrain"
    with installed(stops=Stops(3)):
        assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 1
    assert checkpoint.read_meta(checkpoint.latest(run)).step == 2
    (third,) = (value for step, value in curve(run, "train/total") if step == 3)
    time.sleep(1.1)  # TensorBoard reads files in the order of the second in their names
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 0
    points = curve(run, "train/total")
    assert [step for step, _ in points] == [1, 2, 3, 4] and points[2][1] == third
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [(line["step"], round(line["total"], 4)) for line in lines if line["kind"] == "train"] == points
