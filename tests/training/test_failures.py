"""A component that fails in training is named, after its traceback; one that ends the process is an error too."""

from __future__ import annotations

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from tests.conftest import stages
from tests.training.test_launch import start
from v2skit.config.features import Clock, Mel
from v2skit.config.load import check_component
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.registry.build import build
from v2skit.training.failures import failed_component, named_failures

FAILING = "tests.training.failing:Failing"
MINE = f"loss '{FAILING}' (from tests) failed: "
SEE = "; see the traceback above, and correct the component, or choose another"


def failing(**arguments) -> nn.Module:
    choice = check_component("loss", {"type": FAILING, **arguments}, "here")
    return build("loss", choice, clock=Clock(), mel=Mel())


def term(**arguments) -> str:
    shown = "".join(f", {name}: {str(value).lower()}" for name, value in arguments.items())
    return f"losses.failing={{type: '{FAILING}', weight: 1{shown}}}"


@pytest.mark.parametrize(
    ("ends", "why"), [(False, "KeyError: 'absent'"), (True, "it ends the process (SystemExit: 0)")]
)
def test_a_training_ends_with_the_traceback_and_a_sentence(recipe_folder, tiny, capsys, ends, why):
    sets = (term(ends=ends, after=1), "pretrain.checkpoint_every=1")
    assert stages(recipe_folder, tiny, "pretrain", sets=sets) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed and "in forward" in printed and "sys.exit(0) if self.ends" in printed
    assert printed.splitlines()[-1] == f"v2skit: error: {MINE}{why}{SEE}"
    assert checkpoint.latest(recipe_folder / "exp/tiny/pretrain").name == "checkpoint-00000001"


def test_so_does_one_in_several_processes(recipe_folder, tiny):
    process = start(recipe_folder, tiny, "--set", term(ends=True, after=1))
    try:
        _, printed = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.returncode == 1 and "Traceback" in printed
    assert printed.splitlines()[-1] == f"v2skit: error: {MINE}it ends the process (SystemExit: 0){SEE}"


def test_the_innermost_component_is_named_also_in_a_copy():
    outer = nn.Module()
    outer.forward = lambda part: part(None, None)
    for part in (failing(), copy.deepcopy(failing())):
        with pytest.raises(UserError) as error, named_failures():
            outer(part)
        assert error.value.fields["component"].startswith(MINE.partition(" failed")[0])
        assert isinstance(error.value.__cause__, KeyError)


@pytest.mark.parametrize(
    "error", [ValueError("of the toolkit"), UserError("change it"), KeyboardInterrupt(), torch.OutOfMemoryError()]
)
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as found, named_failures():
        raise error
    assert found.value is error and failed_component(error) is None


def test_the_end_of_the_process_is_an_error_wherever_it_is_called(capsys):
    with (
        pytest.raises(UserError, match=r"^the stage failed: it ends the process \(SystemExit: 0\); see the tr"),
        named_failures(),
    ):
        sys.exit(0)
    assert "sys.exit(0)" in capsys.readouterr().err
