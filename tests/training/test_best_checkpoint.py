"""Which validation loss selects the best checkpoint."""

from __future__ import annotations

import pytest

from tests.training.trainers import trainer_of
from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models import checkpoint

SETS = ["finetune.steps=4", "finetune.validate_every=1", "finetune.batch_frames=36"]


class Scripted(Losses):
    """In validation the sum falls from step to step, and l1 is lowest after the second."""

    step = 0

    def forward(self, output, batch, validate=False):
        total, values = super().forward(output, batch, validate)
        self.step += not validate
        if validate:
            total, values["l1"] = total.new_tensor(-self.step), total.new_tensor(abs(self.step - 2))
        return total, values


@pytest.mark.parametrize(("sets", "best"), [([], 4), (["finetune.best_checkpoint_metric=l1"], 2)])
def test_the_validation_loss_that_is_named_selects_the_best_checkpoint(recipe_folder, tiny, sets, best):
    config, run = load_config(tiny, [*SETS, *sets]), recipe_folder / "run"
    trainer_of(config, recipe_folder / "data", run, losses=Scripted(config)).train()
    assert checkpoint.best(run) == checkpoint.folder_of(run, best)
    assert checkpoint.all_checkpoints(run) == [checkpoint.folder_of(run, step) for step in sorted({best, 4})]


def test_a_loss_that_the_validation_does_not_have_is_refused_before_the_first_step(recipe_folder, tiny):
    config, run = load_config(tiny, [*SETS, "finetune.best_checkpoint_metric=wer"]), recipe_folder / "run"
    trainer = trainer_of(config, recipe_folder / "data", run)
    with pytest.raises(UserError, match=r"^best_checkpoint_metric: the validation has no loss 'wer'; it has total, l1"):
        trainer.train()
    assert trainer.step == 0 and checkpoint.latest(run) is None
