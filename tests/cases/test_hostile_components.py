"""Hostile plug-ins, and components that fail or return something else: each is named, and stops nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import v2skit
from tests.cases.sentences import sentence
from tests.cases.test_hostile_settings import example
from tests.registry.test_plugins import HOOK, fake_plugin
from tests.registry.test_plugins import v2skit as command
from v2skit.config.features import Clock, Mel
from v2skit.config.load import check_component, load_config
from v2skit.errors import UserError
from v2skit.losses.total import Losses
from v2skit.models.output import Output
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.registry.registry import Registry


class Untold(BaseException):
    """An exception that is no Exception, and has no text."""

    def __str__(self) -> str:
        raise RuntimeError


def _raises(error: BaseException) -> Callable[[], Any]:
    def load() -> Any:
        raise error

    return load


def _module(*components: Any, after: BaseException | None = None) -> Callable[[], Any]:
    @v2skit.hookimpl
    def register_components(register: Any) -> None:
        for component in components:
            register(*component)
        if after:
            raise after

    return lambda: SimpleNamespace(register_components=register_components)


def _misspelt() -> Any:
    return SimpleNamespace(register_component=v2skit.hookimpl(lambda register: None))


MINE = ("decoder", "mine", "nowhere:Mine")
BAD_PLUGINS: dict[str, tuple[Callable[[], Any], str]] = {
    "ends the process": (_raises(SystemExit(0)), "it ends the process (SystemExit: 0)"),
    "ends it in its hook": (_module(MINE, after=SystemExit(0)), "it ends the process"),
    "raises no Exception": (_raises(Untold()), "Untold"),
    "fails": (_raises(ValueError("broken")), "ValueError: broken"),
    "fails after a registration": (_module(MINE, after=KeyError("x")), "KeyError"),
    "unknown kind": (_module(MINE, ("decodr", "other", "a:B")), "unknown kind 'decodr'; did you mean 'decoder'?"),
    "taken name": (_module(MINE, ("encoder", "conformer", "a:B")), "'conformer' is registered twice: by v2skit"),
    "its own name twice": (_module(MINE, MINE), "decoder 'mine' is registered twice"),
    "no text": (_module(MINE, ([], None, 3)), "kind, name and target must be text"),
    "no target": (_module(MINE, ("decoder", "other", "a")), "not of the form 'package.module:Class'"),
    "too few arguments": (_module(("decoder",)), "TypeError"),
    "misspelt hook": (_misspelt, ", register_components, "),
    "no hook": (SimpleNamespace, "has no hook; mark one of "),
    "nothing": (lambda: None, ""),
}


def _installed(monkeypatch: pytest.MonkeyPatch, **entries: Callable[[], Any]) -> tuple[Registry, dict[str, Any]]:
    """The registry with these plug-ins, and what became of each."""
    points = [
        SimpleNamespace(
            name=n.partition("__")[0], value=n, module="no_such_module", dist=SimpleNamespace(version="1"), load=load
        )
        for n, load in entries.items()
    ]
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
    registry, found = plugins.load.__wrapped__()
    return registry, {plugin.name: plugin.error for plugin in found}


@pytest.mark.parametrize("name", BAD_PLUGINS)
def test_a_bad_plugin_is_named_and_stops_nothing_else(monkeypatch, name):
    load, message = BAD_PLUGINS[name]
    good = _module(("decoder", "good", "a:B"))
    registry, found = _installed(monkeypatch, bad=load, zzz=good, aaa=_module(("loss", "good", "a:B")))
    assert message in found["bad"] and "\n" not in found["bad"] and registry.broken == {"bad": found["bad"]}
    assert found["v2skit"] is found["aaa"] is found["zzz"] is None
    assert registry.entry("decoder", "good").origin == "zzz" and registry.entry("encoder", "conformer").load()
    with pytest.raises(UserError, match="unknown decoder 'mine'.*\n.*plug-in bad is broken"):
        registry.entry("decoder", "mine")


def test_a_name_of_two_plugins_is_an_error_only_for_who_uses_it(monkeypatch):
    registry, found = _installed(monkeypatch, a=_module(MINE, ("loss", "own", "a:B")), b=_module(MINE))
    assert found["a"] is None and registry.entry("loss", "own").origin == "a"
    with pytest.raises(UserError, match="'mine' is registered twice: by a .* and by b"):
        registry.entry("decoder", "mine")


def test_two_plugins_of_one_name_are_told_apart(monkeypatch):
    _, found = _installed(monkeypatch, v2skit__x=_module(MINE), a=_module(MINE), a__2=_module())
    assert found["v2skit"] is found["a"] is None
    assert "another plug-in is called 'a'" in found["a (a__2)"] and "called 'v2skit'" in found["v2skit (v2skit__x)"]


def test_damaged_metadata_of_any_package_is_named(monkeypatch):
    def damaged(group: str) -> None:
        raise TypeError("no '='")

    monkeypatch.setattr("importlib.metadata.entry_points", damaged)
    registry, found = plugins.load.__wrapped__()
    assert found[0].error is None and "entry_points.txt is damaged" in registry.broken["entry points"]


def test_ctrl_c_while_plugins_load_is_no_fault_of_theirs(monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        _installed(monkeypatch, a=_raises(KeyboardInterrupt()))


def test_a_plugin_that_ends_the_process_does_not_end_commands(tmp_path):
    fake_plugin(tmp_path, "ends", "import sys\nsys.exit(0)\n")
    fake_plugin(tmp_path, "later", HOOK.format("'encoder', 'ends', 'later_module:Encoder'"))
    (tmp_path / "later_module.py").write_text("import sys\nsys.exit(0)\n")
    result = command("components", "encoder", site=tmp_path)
    assert result.returncode == 0 and "conformer" in result.stdout and "plug-in 'ends' is broken" in result.stderr
    assert "encoder 'ends' (from later) can't be loaded: it ends the process" in result.stdout


# Components: constructors and outputs.


class Returning(nn.Module):
    """A component whose output is set from outside."""

    returned: Any = None

    def forward(self, *inputs: Any) -> Any:
        return self.returned


class Encoder(Returning):
    def __init__(self, in_dim: int, fault: str = "", out_dim: Any = 4) -> None:
        super().__init__()
        if fault:
            raise FAULTS[fault]
        self.out_dim = out_dim


class Decoder(Returning):
    def __init__(self, in_dim: int, output: Any = "waveform") -> None:
        super().__init__()
        self.output = output


class Plain:
    """No module."""

    def __init__(self, in_dim: int = 1) -> None:
        pass


FAULTS: dict[str, BaseException] = {
    "value": ValueError("no"),
    "division": ZeroDivisionError("no"),
    "memory": MemoryError("no"),
    "exit": SystemExit(0),
    "untold": Untold(),
    "import": ImportError("no module", name="nothing"),
    "system": OSError(28, "No space left on device"),
    "user": UserError("change it"),
}


@pytest.fixture
def components(monkeypatch) -> None:
    own = Registry()
    for kind, name in (
        ("encoder", "Encoder"), ("encoder", "Plain"), ("decoder", "Decoder"), ("discriminator", "Returning"),
        ("extractor", "Returning"), ("loss", "Returning"), ("encoder", "LENGTH"),
        ("tracker", "Plain"), ("metric", "Plain"),
    ):  # fmt: skip
        own.add(kind, name.lower(), f"{__name__}:{name}", origin="mine")
    monkeypatch.setattr(plugins, "registry", lambda: own)


LENGTH = 3
"""No class."""


def made(kind: str, name: str, **arguments: Any) -> Any:
    given = {"in_dim": 3, "step": 960, "clock": Clock(), "mel": Mel()}
    return build(kind, check_component(kind, {"type": name, **arguments}, "here"), **given)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_constructor_that_fails_is_named(components, fault):
    message = sentence(lambda: made("encoder", "encoder", fault=fault))
    assert message.startswith("encoder 'encoder'")
    assert fault == "user" or f"can't be built with its arguments (fault: '{fault}'" in message


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("plain", {}, "encoder 'plain' (from mine) is a Plain; it must be a torch.nn.Module"),
        ("encoder", {"out_dim": None}, "must have the attribute out_dim, its number of features, not None"),
        ("encoder", {"out_dim": "4"}, "out_dim, its number of features, not '4'"),
        ("encoder", {"out_dim": -1}, "out_dim, its number of features, not -1"),
        ("decoder", {"output": "units"}, "must have the attribute per_frame, values a video frame, not None"),
        (
            "decoder",
            {"output": 3},
            "attribute output = 'mel' or 'waveform', or the name of another stream",
        ),
        (
            "tracker",
            {},
            "tracker 'plain' (from mine) has no start; a component of its kind needs start, update, finish",
        ),
        ("metric", {}, "metric 'plain' (from mine) has no protocol; a component of its kind needs protocol, higher"),
        ("length", {}, "encoder 'length' (from mine) can't be loaded: TypeError: 3 is not a callable object"),
    ],
)
def test_a_component_without_what_its_kind_has_is_named(components, name, arguments, message):
    kind = name if name in ("decoder", "tracker", "metric") else "encoder"
    name = "plain" if name in ("tracker", "metric") else name
    found = sentence(lambda: made(kind, name, **arguments))
    assert message in found and found.count(f"{kind} '{name}'") == 1


X, MASK = torch.zeros(2, 5, 3), torch.ones(2, 5, dtype=torch.bool)
SCORE = torch.zeros(2)
FLOATS = torch.zeros(2, 5, 4)
RETURNED: list[tuple[str, str, dict, tuple, Any, str]] = [
    ("encoder", "encoder", {}, (X, MASK), FLOATS, ""),
    ("encoder", "encoder", {}, (X, MASK), FLOATS.bfloat16(), ""),
    ("encoder", "encoder", {}, (X, MASK), FLOATS[..., :3], "Tensor of torch.float32 (2, 5, 3), not features (B,T,out"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS[:, :4], "(2, 4, 4), not features (B,T,out_dim) = (2, 5, 4)"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS[:1], "(1, 5, 4)"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS.mT, "(2, 4, 5)"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS.long(), "torch.int64"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS.numpy(), "ndarray of float32"),
    ("encoder", "encoder", {}, (X, MASK), (FLOATS, None), "tuple of 2 (Tensor of torch.float32 (2, 5, 4), NoneType)"),
    ("encoder", "encoder", {}, (X, MASK), None, "returned NoneType"),
    ("encoder", "encoder", {}, (X, MASK), FLOATS.to("meta"), "a tensor on meta; its input is on cpu"),
    ("decoder", "decoder", {}, (X, MASK), torch.zeros(2, 4800), ""),
    ("decoder", "decoder", {}, (X, MASK), torch.zeros(2, 4801), "not waveform (B,N) = (2, 4800)"),
    ("decoder", "decoder", {}, (X, MASK), torch.zeros(2, 1, 4800), "not waveform (B,N) = (2, 4800)"),
    ("decoder", "decoder", {"output": "mel"}, (X, MASK), torch.zeros(2, 20, 80), ""),
    ("decoder", "decoder", {"output": "mel"}, (X, MASK), torch.zeros(2, 80, 20), "not mel (B,F,M) = (2, 20, 80)"),
    ("discriminator", "returning", {}, (X,), [(SCORE, [X])], ""),
    ("discriminator", "returning", {}, (X,), [], "list of 0"),
    ("discriminator", "returning", {}, (X,), SCORE, "not [(score (B,...), [features])], at least one"),
    ("discriminator", "returning", {}, (X,), [SCORE], "not [(score (B,...), [features])]"),
    ("discriminator", "returning", {}, (X,), [(SCORE[:1], [X])], "not one for each of 2 clips"),
    ("discriminator", "returning", {}, (X,), [(SCORE, X)], "returned the features Tensor"),
    ("extractor", "returning", {}, (X,), X, "returned the features Tensor"),
    ("loss", "returning", {}, (None, None), {"loss": torch.tensor(1.0)}, ""),
    ("loss", "returning", {}, (None, None), {}, ""),
    ("loss", "returning", {}, (None, None), torch.tensor(1.0), "returned Tensor of torch.float32 (), not {name"),
    ("loss", "returning", {}, (None, None), {"loss": 1.0}, "returned 'loss': float"),
    ("loss", "returning", {}, (None, None), {"loss": SCORE}, "returned 'loss': Tensor of torch.float32 (2,)"),
    ("loss", "returning", {}, (None, None), {1: torch.tensor(1.0)}, "returned 1: Tensor"),
    ("loss", "returning", {}, (None, None), None, "returned NoneType"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "arguments", "inputs", "returned", "message"), RETURNED)
def test_an_output_of_another_shape_or_type_is_named(components, kind, name, arguments, inputs, returned, message):
    component = made(kind, name, **arguments)
    component.returned = returned
    found = sentence(lambda: component(*inputs))
    assert message in found if message else not found
    assert not found or found.startswith(f"{kind} '{name}' (from mine) returned ")
    copied = copy.deepcopy(component)  # as the moving average of the weights does
    assert sentence(lambda: copied(*inputs)) == found


def test_losses_without_a_gradient_are_named(tiny):
    losses = Losses(load_config(tiny))
    output, batch = example()
    assert not sentence(lambda: losses(output, batch))  # no training
    trained = Output(mel=output.mel.requires_grad_())
    assert not sentence(lambda: losses(trained, batch))
    for term in losses.terms.values():
        term.forward = lambda output, batch: {"x": torch.tensor(1.0)}
    assert "none of l1, spectral_convergence has a gradient" in sentence(lambda: losses(trained, batch))
