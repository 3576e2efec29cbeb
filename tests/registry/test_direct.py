"""Components that a config names by the path of their class."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

import v2skit
from v2skit.config.load import check_component, to_tree
from v2skit.errors import UserError
from v2skit.registry import direct, trust
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.registry.kinds import KINDS
from v2skit.registry.plugins import fault, versions
from v2skit.registry.trust import check_trusted, trusting

HERE = __name__
TOP = HERE.partition(".")[0]


class Encoder(nn.Module):
    def __init__(self, in_dim: int, size: int = 3) -> None:
        super().__init__()
        self.out_dim = in_dim + size

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return nn.functional.pad(x, (0, self.out_dim - x.shape[-1])) * mask[..., None]


class Metric:
    protocol = "none"

    def __init__(self) -> None:
        self.higher_is_better = {"x": True}

    def __call__(self, reference: object, hypothesis: object, rate: int) -> dict[str, float]:
        return {"x": 0.0}


def test_a_class_is_checked_and_built_like_a_registered_one():
    choice = check_component("encoder", {"type": f"{HERE}:Encoder", "size": 5}, "here")
    assert choice.origin == TOP and to_tree(choice) == {"type": f"{HERE}:Encoder", "size": 5}
    encoder = build("encoder", choice, in_dim=2)
    assert encoder(torch.ones(1, 4, 2), torch.ones(1, 4, dtype=torch.bool)).shape == (1, 4, 7)
    assert build("metric", check_component("metric", {"type": f"{HERE}:Metric"}, "here")).protocol == "none"
    with pytest.raises(UserError, match=r"here: encoder '.*:Encoder': unexpected argument 'sise'; did you mean 'size'"):
        check_component("encoder", {"type": f"{HERE}:Encoder", "sise": 5}, "here")


@pytest.mark.parametrize(
    ("kind", "path", "message"),
    [
        ("encoder", "no_such_package.a:B", "No module named 'no_such_package'.*; install the package that has it, or"),
        ("encoder", f"{HERE}:Gone", "has no attribute 'Gone'.*; install the package"),
        ("encoder", ":Encoder", "can't be loaded: ValueError"),
        ("encoder", "os:getcwd", "is a builtin_function_or_method, not a class"),
        ("encoder", "subprocess:Popen", "is no torch.nn.Module"),
        ("metric", "pathlib:Path", "has no __call__"),
        ("target", "numpy:memmap", "is no torch.nn.Module and has no compute"),
        ("tracker", f"{HERE}:Metric", "has no start; a component of its kind needs start, update, finish"),
    ],
)
def test_what_is_no_component_is_refused_before_it_is_called(kind, path, message):
    with pytest.raises(UserError, match=f"here: {kind}: {kind} '{path}'.*{message}") as error:
        check_component(kind, {"type": path}, "here")
    assert error.value.fields["key"] == f"{kind}.type"


def test_the_origin_is_the_distribution_or_the_module():
    assert direct.origin("torch.nn:Linear") == "torch" and direct.origin("yaml.nodes:Node").lower() == "pyyaml"
    assert direct.distribution(f"{HERE}:Encoder") is None and direct.origin(f"{HERE}:Encoder") == TOP
    found = versions({"v2skit", TOP, "torch"})
    assert found[TOP] == "" and found["torch"] and found["v2skit"] == v2skit.__version__
    assert fault(TOP) is None and fault("torch") is None and fault("no_such_package") == "is not installed"


def test_to_ask_for_a_version_imports_nothing(tmp_path, monkeypatch):
    (tmp_path / "payload").mkdir()
    (tmp_path / "payload/__init__.py").write_text("raise SystemExit('it was imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert direct.version("payload") == "" and fault("payload") is None
    for name in ("payload.x", "payload.", ".payload", ""):
        assert direct.version(name) is None and fault(name) == "is not installed"
    assert "payload" not in sys.modules


def test_a_target_is_a_module_or_has_compute():
    class Stored:
        def compute(self, utterance: object) -> None: ...

    direct.check_class("target", Stored)
    direct.check_class("target", Encoder)


def test_the_classes_of_all_kinds_but_those_of_plugins_are_checked(monkeypatch):
    assert all(direct.is_checked(kind) for kind in KINDS) and not direct.is_checked("segmenter")
    monkeypatch.setattr(trust, "_named", set())
    checked = Component("torch.nn:Linear", {}, kind="encoder")
    segmenter = Component("torch.nn:Linear", {}, kind="segmenter")
    trust.check_classes([checked, Component("energy", {}, kind="segmenter")], "a checkpoint")
    message = "a checkpoint runs the class torch.nn:Linear as a segmenter, a kind of a plug-in; if you trust"
    with pytest.raises(UserError, match=message):
        trust.check_classes([checked, segmenter], "a checkpoint")
    with trusting():
        trust.check_classes([segmenter], "a checkpoint")


def test_paths_are_found_at_any_depth():
    tree = {"a": {"type": "a:B", "list": [{"type": "c.d:E"}, {"type": "plain"}]}, "type": 3}
    assert sorted(direct.paths(tree)) == ["a:B", "c.d:E"]
    for _ in range(5000):
        tree = {"a": [tree]}
    assert len(direct.paths(tree)) == 2


def test_a_stored_config_runs_installed_classes_and_those_that_a_config_named(monkeypatch):
    monkeypatch.setattr(trust, "_named", set())
    check_trusted([], ["torch.nn:Linear"], "a checkpoint")
    with pytest.raises(UserError, match="a checkpoint runs the class elsewhere:A of no installed package; if you"):
        check_trusted([], ["elsewhere:A"], "a checkpoint")
    with trusting():
        check_trusted([], ["elsewhere:A"], "a checkpoint")
    trust.trust([], ["elsewhere:A"])
    check_trusted([], ["elsewhere:A"], "a checkpoint")
