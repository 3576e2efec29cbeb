"""States of optimisers and discriminators that were edited by hand: one sentence with the checkpoint and the remedy."""

import json
import math

import pytest
import torch

from tests.conftest import stages, vocoder_config
from v2skit.models import checkpoint


@pytest.fixture
def trained(recipe_folder, tiny, tmp_path):
    """The config of a vocoder with discriminators, and its newest checkpoint."""
    config = vocoder_config(tmp_path, tiny)
    assert stages(recipe_folder, config, "pretrain") == 0
    return config, checkpoint.latest(recipe_folder / "exp/vocoder/pretrain")


def first(state: dict) -> str:
    return next(name for name, value in state.items() if torch.is_tensor(value) and value.is_floating_point())


def edited(good: dict) -> dict[str, dict]:
    """What -> the optimiser's file."""
    model, adversarial = good["model"], good["losses"]["adversarial"]
    moments, name = model["state"], first(adversarial)
    extra = adversarial["_extra_state"]
    theirs = extra["optimiser"]["state"]

    def changed(**changes: object) -> dict:
        return {**good, "losses": {**good["losses"], "adversarial": {**adversarial, **changes}}}

    def optimiser(**changes: object) -> dict:
        return changed(_extra_state={**extra, "optimiser": {**extra["optimiser"], **changes}})

    nan = torch.full_like(moments[0]["exp_avg"], math.nan)
    bad = {**theirs[0], "exp_avg": torch.full_like(theirs[0]["exp_avg"], math.inf)}
    return {
        "moments": {**good, "model": {**model, "state": {**moments, 0: {**moments[0], "exp_avg": nan}}}},
        "discriminator": changed(**{name: torch.full_like(adversarial[name], math.nan)}),
        "discriminator's shape": changed(**{name: torch.zeros(1, 2, 3, 4, 5)}),
        "discriminator's type": changed(**{name: "text"}),
        "discriminator's moments": optimiser(state={**theirs, 0: bad}),
        "discriminator's moments' shape": optimiser(state={**theirs, 0: {**theirs[0], "exp_avg": torch.ones(7)}}),
        "no groups": optimiser(param_groups=[]),
        "steps": changed(_extra_state={**extra, "steps": "many"}),
        "no steps": changed(_extra_state={"optimiser": extra["optimiser"]}),
        "no extra state": changed(_extra_state=7),
        "list": {**good, "losses": {"adversarial": [1]}},
        "no terms": {**good, "losses": {}},
    }


def test_edited_states_are_named(trained, recipe_folder, capsys):
    config, newest = trained
    path, meta = newest / checkpoint.OPTIMISER, newest / checkpoint.META
    content = {**json.loads(meta.read_text()), "files": {}, "step": 3}  # the digests would show the edits
    meta.write_text(json.dumps(content))
    good = torch.load(path, weights_only=True)
    for what, state in edited(good).items():
        torch.save(state, path)
        capsys.readouterr()
        assert stages(recipe_folder, config, "pretrain") == 1, what
        error = capsys.readouterr().err
        assert "Traceback" not in error and f"{newest} is no checkpoint to resume from: " in error, (what, error)
        assert "finish the run with the version that started it, or train again with --force" in error, (what, error)
    torch.save(good, path)
    assert stages(recipe_folder, config, "pretrain") == 0
