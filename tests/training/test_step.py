"""A step waits for the device only when its losses are logged; a loss that is not finite is noticed all the same."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

import pytest
import torch

from tests.training.trainers import trainer_of
from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models import checkpoint
from v2skit.training.step import TrainingStep

GAN = (
    "losses.gan={type: adversarial, weight: 1, discriminators: {waveform: {type: waveform, channels: 2, layers: 2}}, "
    "discriminator_steps: 2}"
)
RAW = [
    "networks.decoder={type: istft, dim: 8, blocks: 1}", "losses.l1=null", "losses.spectral_convergence=null",
    "losses.log_mel={type: log_mel, weight: 1}", GAN,
]  # fmt: skip
SETS = ["finetune.validate_every=1000", "finetune.batch_frames=36", "finetune.precision=float32"]


class Breaking(Losses):
    """Gives NaN for the second batch."""

    calls = 0

    def forward(self, output, batch, validate=False):
        total, values = super().forward(output, batch, validate)
        self.calls += 1
        return total * (torch.nan if self.calls == 2 else 1.0), values


@pytest.mark.parametrize("sets", [[], RAW, ["finetune.accumulate=2", *RAW]], ids=["mel", "raw", "accumulated"])
def test_an_unlogged_step_reads_nothing_from_the_device(recipe_folder, tiny, monkeypatch, sets):
    trainer = trainer_of(load_config(tiny, [*SETS, *sets]), recipe_folder / "data", recipe_folder / "run")
    step = TrainingStep(
        trainer.model, trainer.losses, trainer.optimiser, trainer.average, iter(trainer.batches), None, 1,
        trainer.roll_call,
    )  # fmt: skip
    reads = []

    def spy(name):
        read = getattr(torch.Tensor, name)

        def wrapped(self, *arguments):
            if Path(sys._getframe(1).f_code.co_filename).parent == Path(inspect.getfile(TrainingStep)).parent:
                reads.append(name)
            return read(self, *arguments)

        return wrapped

    for name in ("tolist", "item", "cpu", "numpy", "__bool__", "__float__", "__int__"):
        monkeypatch.setattr(torch.Tensor, name, spy(name))
    assert step.run(0, logged=False) == {} and not reads
    values = step.run(1, logged=True)
    assert {"total", "gradient_norm", "learning_rate"} < values.keys() and "__float__" in reads
    assert ("gan/discriminator" in values) == bool(sets)


def test_a_repeated_forward_pass_has_the_random_numbers_of_the_device(recipe_folder, tiny, monkeypatch):
    """On a GPU, checkpoint() restores the random generators only of the devices of the tensors among its arguments."""
    devices = []

    def spy(function, *arguments, **options):
        devices.append([a.device.type for a in arguments if isinstance(a, torch.Tensor)])
        return torch.utils.checkpoint.checkpoint(function, *arguments, **options)

    monkeypatch.setattr("v2skit.training.step.checkpoint", spy)
    config = load_config(tiny, [*SETS, *RAW, "finetune.accumulate=2", "finetune.steps=1"])
    trainer_of(config, recipe_folder / "data", recipe_folder / "run").train()
    assert devices == [["cpu"], ["cpu"]]


@pytest.mark.parametrize(
    ("sets", "signalled", "calls"),
    [(["log_every=1"], False, 2), (["checkpoint_every=3"], False, 3), (["validate_every=4"], False, 4),
     ([], False, 5), (["checkpoint_every=1000"], True, 3)],
    ids=["logged", "before a checkpoint", "before the validation", "in the end", "after a signal"],
)  # fmt: skip
def test_a_loss_that_is_not_finite_ends_the_run_and_is_not_saved(recipe_folder, tiny, sets, signalled, calls):
    settings = ["steps=5", "log_every=1000", "checkpoint_every=1000", "validate_every=1000", *sets]
    config = load_config(tiny, [*SETS, *(f"finetune.{text}" for text in settings)])
    losses, run = Breaking(config), recipe_folder / "run"
    trainer = trainer_of(config, recipe_folder / "data", run, losses=losses)
    if signalled:
        update = trainer.average.update

        def signal(model, step):
            update(model, step)
            trainer.roll_call.signalled = step == 2

        trainer.average.update = signal
    with pytest.raises(UserError, match=r"^the loss is nan at step 1; lower learning_rate or clip_norm$") as error:
        trainer.train()
    assert error.value.fields == {"step": 1} and losses.calls == calls and checkpoint.latest(run) is None


class Steep(Losses):
    """Its second value is finite, its gradient is not: that of the square root at zero."""

    calls = 0

    def forward(self, output, batch, validate=False):
        total, values = super().forward(output, batch, validate)
        self.calls += 1
        steep = (0 * output.stream("mel")).square().sum().sqrt() if self.calls == 2 else 0
        return total + steep, values


@pytest.mark.parametrize("saved", [2, 1000], ids=["before a checkpoint", "in the end"])
def test_a_gradient_that_is_not_finite_ends_the_run_and_is_not_saved(recipe_folder, tiny, saved):
    settings = ["steps=4", "log_every=1" if saved == 2 else "log_every=1000", f"checkpoint_every={saved}"]
    config = load_config(tiny, [*SETS, *(f"finetune.{text}" for text in settings)])
    trainer = trainer_of(config, recipe_folder / "data", recipe_folder / "run", losses=Steep(config))
    with pytest.raises(UserError, match=r"^the norm of the gradient is nan at step 1; lower learning_rate"):
        trainer.train()
    assert trainer.step == min(saved, 3) and checkpoint.latest(recipe_folder / "run") is None


def test_old_discriminators_are_refused_when_a_run_resumes(recipe_folder, tiny):
    config, run = load_config(tiny, [*SETS, *RAW]), recipe_folder / "run"
    trainer_of(config, recipe_folder / "data", run).train()
    newest = checkpoint.latest(run)
    state = torch.load(newest / checkpoint.OPTIMISER, weights_only=True)
    state["losses"]["gan"] = {k.replace("discriminators.", "critics."): v for k, v in state["losses"]["gan"].items()}
    torch.save(state, newest / checkpoint.OPTIMISER)
    meta = json.loads((newest / checkpoint.META).read_text())
    (newest / checkpoint.META).write_text(json.dumps({**meta, "files": {}}))  # as version 0.1 wrote it
    with pytest.raises(
        UserError, match="loss 'gan': the checkpoint's discriminators .* v2skit 0.1; finish the run with"
    ):
        trainer_of(config, recipe_folder / "data", run)
