"""Kinds of plug-ins; components of plug-ins for version 0.1 are refused with the new name, which is free elsewhere."""

from __future__ import annotations

import pytest

from v2skit.config.check import kinds_in
from v2skit.config.features import Clock
from v2skit.config.load import check_component, to_tree
from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.registry.files import PluginFile, digest_of
from v2skit.registry.kinds import KINDS, check_names, construct
from v2skit.registry.registry import Registry


class OldEncoder:
    def __init__(self) -> None:
        self.look_back_frames = 3


class OldDecoder:
    gives = "mel"


class Tracker:
    needs = "a camera"


class NewLoss:
    needs = input = "mel"


def test_an_attribute_of_the_class_is_found():
    with pytest.raises(UserError, match="rename its attribute 'gives' to 'output'"):
        check_names("decoder", OldDecoder)


def test_an_attribute_of_the_built_component_is_found():
    with pytest.raises(UserError, match="rename its attribute 'look_back_frames' to 'left_context_frames'"):
        construct("encoder", OldEncoder, {})


@pytest.mark.parametrize(("kind", "component"), [("tracker", Tracker), ("loss", NewLoss), ("encoder", OldDecoder)])
def test_other_attributes_are_free(kind, component):
    check_names(kind, component)


SEGMENTER = """
from typing import Annotated

import v2skit
from v2skit.registry.component import Component


def check(component):
    if not hasattr(component, "segments"):
        raise ValueError("it has no segments()")


@v2skit.hookimpl
def register_kinds(register):
    register("segmenter", "waveform (N,) -> [(start, end)]", given=("clock",), check=check)


@v2skit.hookimpl
def register_components(register):
    register("segmenter", "energy", ":Energy")
    register("segmenter", "nothing", ":Nothing")
    register("metric", "by_segment", ":BySegment")


class Energy:
    def __init__(self, clock, threshold: float = 0.5):
        self.clock, self.threshold = clock, threshold

    def segments(self, waveform): ...


class Nothing: ...


class BySegment:
    protocol, higher_is_better = "mean over segments", {"x": True}

    def __init__(
        self,
        segmenter: Annotated[Component, "segmenter"],
        others: dict[str, Annotated[Component, "segmenter"]] = {},
        more: list[Annotated[Component, "segmenter"]] = [],
    ):
        self.segmenter, self.others, self.more = segmenter, others, more

    def __call__(self, reference, hypothesis, rate): ...
"""


@pytest.fixture
def segmenter():
    with plugins.using([PluginFile("segmenter.py", digest_of(SEGMENTER), SEGMENTER)]):
        yield


def test_a_kind_of_a_plugin_is_an_argument_of_components(segmenter):
    tree = {
        "type": "by_segment", "segmenter": {"type": "energy", "threshold": 1},
        "others": {"a": {"type": "energy"}}, "more": [{"type": "energy"}],
    }  # fmt: skip
    choice = check_component("metric", tree, "here")
    assert to_tree(check_component("metric", to_tree(choice), "again")) == to_tree(choice)
    metric = build("metric", choice, clock=Clock())
    assert metric.segmenter.threshold == 1.0 and metric.segmenter.clock == Clock()
    assert metric.others["a"].threshold == metric.more[0].threshold == 0.5
    assert kinds_in(type(metric)) == {name: ["segmenter"] for name in ("segmenter", "others", "more")}
    with pytest.raises(UserError, match="segmenter 'energy': 'clock' is set by the toolkit"):
        check_component("segmenter", {"type": "energy", "clock": 1}, "here")
    with pytest.raises(UserError, match=r"more.0: unknown segmenter 'enrgy'; did you mean 'energy'"):
        check_component("metric", {**tree, "more": [{"type": "enrgy"}]}, "here")


def test_components_that_fail_the_check_of_their_kind_are_named(segmenter):
    message = r"segmenter 'nothing' \(from segmenter.py\) is no segmenter: ValueError: it has no segments\(\)"
    with pytest.raises(UserError, match=message):
        build("segmenter", check_component("segmenter", {"type": "nothing"}, "here"))


def test_a_kind_of_a_file_is_unknown_elsewhere():
    with pytest.raises(UserError, match="unknown kind 'segmenter'"):
        check_component("segmenter", {"type": "energy"}, "here")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            ("decoder", "x", (), None),
            r"'decoder' is registered twice: by v2skit \(features .*\) and by other \(x\)",
        ),
        (("mine", "x", (), None), r"kind 'mine' is registered twice: by first \(y\) and by other"),
        (("own kind", "x", (), None), "must be a Python identifier"),
        (("own", 3, (), None), "give its name and purpose as text"),
        (("own", "x", "clock", None), "a tuple of argument names"),
        (("own", "x", (), "check"), "a function or None"),
    ],
)
def test_kinds_that_cannot_be_registered_are_named_and_none_is(kind, message):
    registry = Registry(dict(KINDS))
    registry.add_kinds([("mine", "y", (), None)], "first")
    with pytest.raises(UserError, match=message):
        registry.add_kinds([("good", "z", ("clock",), None), kind], "other")
    assert registry.kinds.keys() - KINDS.keys() == {"mine"}
