"""The hooks of a training: each is called when it should be, and an error in one names its plug-in."""

import json
import re
import types
from dataclasses import replace

import pytest
import torch

import v2skit
from tests.conftest import ROOT, stages
from tests.registry.installed import Stops, installed
from v2skit.models import checkpoint
from v2skit.registry.events import implementations, report_sections
from v2skit.training.run_hooks import HOOKS

SETS = ("pretrain.log_every=2", "pretrain.checkpoint_every=2", "pretrain.validate_every=2")


class Observer:
    """Records its calls; fails in a chosen hook."""

    def __init__(self, fails_in: str = "", error: BaseException | None = None):
        self.calls, self.fails_in, self.error = [], fails_in, error or ValueError("no")

    def keep(self, hook, run, *more):
        self.calls.append((hook, *more))
        self.run = run
        if hook == self.fails_in:
            raise self.error

    @v2skit.hookimpl
    def training_started(self, run):
        self.keep("training_started", run)

    @v2skit.hookimpl
    def step_finished(self, run, step, values):
        self.keep("step_finished", run, step, "total" in values)

    @v2skit.hookimpl
    def validated(self, values, run, step):
        self.keep("validated", run, step, checkpoint.latest(run.folder).name, values)

    @v2skit.hookimpl
    def training_ended(self, run, status):
        self.keep("training_ended", run, status)


class Noise:
    """Adds noise to the audio of each batch."""

    def __init__(self, level: float = 0.1):
        self.level, self.tasks = level, []

    @v2skit.hookimpl
    def process_batch(self, batch, task):
        self.tasks.append(task)
        return replace(batch, mel=batch.mel + self.level * torch.randn_like(batch.mel))


class Scaled:
    @v2skit.hookimpl
    def process_batch(self, batch):
        return replace(batch, mel=2 * batch.mel)


class Swapped:
    @v2skit.hookimpl
    def process_batch(self, batch):
        return batch.mel


def totals(run) -> list:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [line["total"] for line in lines if line["kind"] == "train"]


def test_events_come_in_order_with_the_run(recipe_folder, tiny):
    observer = Observer()
    with installed(observer=observer):
        assert stages(recipe_folder, tiny, "pretrain", sets=SETS) == 0
    run, run_folder = observer.run, recipe_folder / "exp/tiny/pretrain"
    assert (run.name, run.folder, run.task, run.rank) == ("pretrain", run_folder, "a2a", 0)
    assert run.device == torch.device("cpu") and run.config.pretrain.log_every == 2
    valid = checkpoint.read_meta(checkpoint.latest(run_folder)).valid
    assert observer.calls == [
        ("training_started",),
        ("step_finished", 1, False), ("step_finished", 2, True),
        ("validated", 2, "checkpoint-00000002", observer.calls[3][-1]),
        ("step_finished", 3, False), ("step_finished", 4, True), ("validated", 4, "checkpoint-00000004", valid),
        ("training_ended", "finished"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("hook", "reached"), [("training_started", 4), ("step_finished", 0), ("validated", 2), ("training_ended", 4)]
)
def test_a_hook_that_fails_is_named_and_training_resumes_from_the_last_checkpoint(
    recipe_folder, tiny, capsys, hook, reached
):
    assert stages(recipe_folder, tiny, "pretrain", sets=SETS) == 0
    run = recipe_folder / "exp/tiny/pretrain"
    expected = totals(run)
    observer = Observer(hook)
    with installed(mine=observer):
        assert stages(recipe_folder, tiny, "pretrain", sets=SETS, more=("--force",)) == 1
    message = capsys.readouterr().err
    assert f"hook {hook} of plug-in 'mine' failed: ValueError: no; correct or uninstall the plug-in" in message
    assert observer.calls[-1] == ("training_ended", "finished" if hook == "training_ended" else "failed")
    newest = checkpoint.latest(run)
    assert (checkpoint.read_meta(newest).step if newest else 0) == reached
    assert stages(recipe_folder, tiny, "pretrain", sets=SETS) == 0
    assert totals(run) == expected


def test_a_repeated_training_that_does_not_start_keeps_the_run(recipe_folder, tiny, capsys):
    assert stages(recipe_folder, tiny, "pretrain", sets=SETS) == 0
    run = recipe_folder / "exp/tiny/pretrain"
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    for found, seed in ((Observer("training_started"), 7), (Observer("step_finished"), 8)):
        with installed(mine=found):
            assert stages(recipe_folder, tiny, "pretrain", sets=(*SETS, f"seed={seed}"), more=("--force",)) == 1
        after = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
        assert (after == before) == (seed == 7)
    assert [path.name for path in run.parent.iterdir() if path.name.startswith(".")] == [".pretrain.lock"]


def test_a_training_does_not_resume_with_other_plugins_that_change_batches(recipe_folder, tiny, capsys):
    half = ("pretrain.checkpoint_every=2",)
    with installed(noise=Noise(), stops=Stops(3)):
        assert stages(recipe_folder, tiny, "pretrain", sets=half) == 1
    for found, message in (
        ({}, "plug-in noise changes the batches: version 1.0 there, not used now"),
        ({"noise": Noise(), "mine": Scaled()}, "plug-in mine changes the batches: not used there, version 1.0 now"),
    ):
        capsys.readouterr()
        with installed(**found):
            assert stages(recipe_folder, tiny, "pretrain", sets=half) == 1
        assert message in capsys.readouterr().err
    with installed(noise=Noise(), observer=Observer()):
        assert stages(recipe_folder, tiny, "pretrain", sets=half) == 0


def test_an_error_of_the_end_does_not_hide_that_of_the_training(recipe_folder, tiny, capsys):
    class Failing(Observer):
        @v2skit.hookimpl
        def training_ended(self, run, status):
            raise RuntimeError("second")

    with installed(mine=Failing("validated", SystemExit("first"))):
        assert stages(recipe_folder, tiny, "pretrain", sets=SETS) == 1
    message = capsys.readouterr().err
    assert "training_ended of plug-in 'mine' failed: RuntimeError: second" in message
    assert message.splitlines()[-1].startswith("v2skit: error: hook validated of plug-in 'mine' failed: it ends the")


def test_batches_are_processed_in_order_and_deterministically(recipe_folder, tiny):
    noise, runs = Noise(), {}
    for name, found in {
        "none": {}, "noise": {"a": noise}, "again": {"a": Noise()}, "zero": {"a": Noise(0.0)},
        "noise, scaled": {"a": Noise(), "b": Scaled()}, "scaled, noise": {"a": Scaled(), "b": Noise()},
    }.items():  # fmt: skip
        with installed(**found):
            exp = recipe_folder / "exp" / name
            assert (
                stages(recipe_folder, tiny, "pretrain", sets=("pretrain.log_every=1",), more=("--exp", str(exp))) == 0
            )
        runs[name] = totals(exp / "pretrain")
    cut = ("pretrain.log_every=1", "pretrain.validate_every=2")
    for status, more in ((1, {"b": Observer("validated")}), (0, {})):  # interrupted, then resumed
        with installed(a=Noise(), **more):
            assert stages(recipe_folder, tiny, "pretrain", sets=cut) == status
    assert totals(recipe_folder / "exp/tiny/pretrain") == runs["noise"]
    assert noise.tasks == ["a2a"] * 4 and len(runs["none"]) == 4
    assert runs["noise"] == runs["again"]
    # The targets are changed, and dropout draws after the plug-in has drawn.
    assert len({losses[0] for losses in map(tuple, runs.values())}) == 5


def test_the_example_of_the_documentation(recipe_folder, tiny, capsys):
    text = (ROOT / "docs/plugins.md").read_text(encoding="utf-8")
    example = types.ModuleType("example")
    exec(re.search(r"## Events of a .*?```python\n(import .*?)```", text, re.DOTALL)[1], vars(example))
    with installed(example=example):
        assert {name for name in HOOKS if implementations(name)} == set(HOOKS)
        assert stages(recipe_folder, tiny, "pretrain", "transfer", "finetune", sets=("scratch=false",)) == 0
        (section,) = report_sections(recipe_folder / "exp/tiny")
    run = recipe_folder / "exp/tiny/finetune"
    valid = {"step": 4, **checkpoint.read_meta(checkpoint.latest(run)).valid}
    assert section == f"## Newest losses\n\n{json.dumps(valid)}"
    assert f"v2a on cpu, into {run}\n" in (calls := capsys.readouterr().out) and "finetune: finished\n" in calls


def test_a_file_of_the_recipe_has_hooks(recipe_folder, tiny, capsys):
    file = tiny.parent / "watched.py"
    hook = "import v2skit\n\n\n@v2skit.hookimpl\ndef training_ended(run, status):\n    raise OSError(status)\n"
    file.write_text(hook)
    assert stages(recipe_folder, tiny, "pretrain", sets=(f"plugins=[{file}]",)) == 1
    assert "hook training_ended of plug-in 'watched.py' failed: OSError: finished" in capsys.readouterr().err


def test_what_is_no_batch_is_an_error(recipe_folder, tiny, capsys):
    with installed(mine=Swapped()):
        assert stages(recipe_folder, tiny, "pretrain", sets=SETS) == 1
    assert "hook process_batch of plug-in 'mine' returned Tensor, not a Batch" in capsys.readouterr().err
