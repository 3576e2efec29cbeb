"""The findings of a plug-in: one line each, with the remedy; all aspects of a component are checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from v2skit.cli.main import main
from v2skit.errors import UserError
from v2skit.registry.plugins import Plugin
from v2skit.testing import check_plugin
from v2skit.testing.aspects import REMEDIES, aspect, collected
from v2skit.testing.plugin import _check_start

BAD = '''
import torch
from torch import nn

import v2skit


@v2skit.hookimpl
def register_components(register):
    register("decoder", "bad", ":Bad")
    register("decoder", "flat", ":Flat")
    register("loss", "bad", ":BadLoss")
    register("encoder", "gone", ":Gone")
    register("encoder", "needs", ":Needs")
    register("encoder", "half", ":Half")


class Bad(nn.Module):
    output = "mel"
    left_context_frames = look_ahead_frames = 0

    def __init__(self, in_dim, clock, mel, hidden: int = 4):
        super().__init__()
        self.n_mels = mel.n_mels
        self.conv = nn.Conv1d(in_dim, mel.per_frame(clock) * mel.n_mels, 3, padding=1)
        self.unused = nn.Linear(2, 2)

    def forward(self, x, mask):
        y = self.conv(x.transpose(1, 2)).transpose(1, 2) + 0.01 * torch.rand(1)
        if y.sum() > 1e9:
            y = 2 * y
        return y.reshape(len(y), -1, self.n_mels)


class Flat(nn.Module):
    """Has the shape of its input.

    Args:
        hidden: width.
    """

    output = "mel"

    def __init__(self, in_dim, clock, mel, hidden: int = 4):
        super().__init__()
        self.linear = nn.Linear(in_dim, mel.n_mels)

    def forward(self, x, mask):
        return self.linear(x) * mask[..., None]


class BadLoss(nn.Module):
    """Without a gradient."""

    def forward(self, output, batch):
        return {"bad": output.mel.detach().mean()}


class Needs(nn.Module):
    """Needs a file."""

    def __init__(self, in_dim, path: str):
        super().__init__()


class Half(nn.Module):
    """Only for float32."""

    def __init__(self, in_dim):
        super().__init__()
        self.out_dim, self.linear = in_dim, nn.Linear(in_dim, in_dim)

    def forward(self, x, mask):
        if x.shape[:2] != mask.shape:
            raise ValueError("lengths")
        y = torch.zeros_like(x)
        return y.masked_scatter(mask[..., None], self.linear(x)[mask])
'''


def test_each_finding_is_one_line_with_its_remedy(tmp_path, capsys):
    (tmp_path / "bad.py").write_text(BAD)
    assert main(["check-plugin", str(tmp_path / "bad.py")]) == 1
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    found = {tuple(line.split(": ")[:2]) for line in lines}
    bad = ("docs", "determinism", "padding", "context", "gradients", "length", "export")
    wanted = {("decoder bad", name) for name in bad} | {("decoder flat", "shape"), ("loss bad", "contract")}
    wanted |= {("encoder gone", "import"), ("encoder needs", "docs"), ("encoder needs", "build")}
    assert found == wanted | {("encoder half", "bfloat16"), ("loss bad", "padding")}
    assert all(line.endswith(REMEDIES[line.split(": ")[1]]) for line in lines)
    assert "no gradient reaches decoder.unused.weight, decoder.unused.bias" in printed.out
    assert "look_ahead_frames is 0, but the output changes with a later frame" in printed.out
    assert printed.err.endswith("findings; correct them and check again\n") and "forward(" not in printed.err


EXITS = """
import sys

import v2skit


@v2skit.hookimpl
def register_components(register):
    register("metric", "exits", ":Exits")
    register("metric", "later", ":Later")


class Exits:
    \"\"\"Ends the process.\"\"\"

    protocol, higher_is_better = "none", {"exits": True}

    def __call__(self, reference, hypothesis, rate):
        sys.exit(0)


class Later(Exits):
    \"\"\"Is not defined.\"\"\"

    def __call__(self, reference, hypothesis, rate):
        raise KeyError("later")
"""


def test_a_component_that_ends_the_process_is_a_finding_and_the_others_are_checked(tmp_path, capsys):
    (tmp_path / "exits.py").write_text(EXITS)
    assert main(["check-plugin", str(tmp_path / "exits.py")]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("metric exits: contract: it ends the process (SystemExit: 0), in place of an exception;")
    assert second.startswith("metric later: contract: KeyError: 'later'")


def test_a_missing_plugin_is_named():
    with pytest.raises(UserError, match="there is no plug-in 'nowhere'; install its package"):
        check_plugin("nowhere")
    with pytest.raises(UserError, match="can't be read"):
        check_plugin(str(Path("nowhere.py")))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("print('hello')\nimport torch", "imports torch"),
        ("raise OSError('no display')", "in a new process fails: OSError: no display"),
        ("import os\nos._exit(1)", "in a new process fails: exit status 1"),
        ("print('True')", None),
    ],
)
def test_hooks_load_without_torch(tmp_path, monkeypatch, code, message):
    (tmp_path / "hooks_of_the_test.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    plugin = Plugin("test", "1", module="hooks_of_the_test")
    if message is None:
        _check_start(plugin)
    else:
        with pytest.raises(AssertionError, match=message):
            _check_start(plugin)


def test_failures_are_raised_unless_they_are_collected():
    with pytest.raises(AssertionError, match="wrong"), aspect("padding"):
        raise AssertionError("wrong")
    findings = []
    with collected("decoder mine", findings):
        with aspect("padding"):
            raise AssertionError("wrong")
        with aspect("shape", ends=True):
            raise IndexError("5")
        raise AssertionError("not reached")
    assert [(finding.aspect, finding.message) for finding in findings] == [
        ("padding", "wrong"),
        ("shape", "IndexError: 5"),
    ]
