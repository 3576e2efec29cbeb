"""A target is computed after those that it is computed from, whatever their order in the config."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from v2skit.config.load import load_config
from v2skit.data.targets import in_order
from v2skit.errors import UserError
from v2skit.models.build import build_targets


def targets(**needs):
    return {name: SimpleNamespace(needs=needed) for name, needed in needs.items()}


def test_in_the_order_of_needs_and_otherwise_of_the_config():
    given = targets(c=("b", "d"), z=(), b=("a",), a=(), d=("a",))
    assert list(in_order(given)) == ["a", "b", "d", "c", "z"]
    assert in_order(given) == given
    assert list(in_order(targets(z=(), a=()))) == ["z", "a"]


@pytest.mark.parametrize(
    ("needs", "why"),
    [
        ({"a": ("a",)}, "'a' from 'a'"),
        ({"z": ("a",), "a": ("b",), "b": ("a",)}, "'a' from 'b', 'b' from 'a'"),
    ],
)
def test_a_circle_is_refused(needs, why):
    with pytest.raises(UserError, match=f"targets are computed in a circle, {why}; leave out one of these") as error:
        in_order(targets(**needs))
    assert error.value.fields["key"] == "targets.a"


def test_those_of_a_config_are_in_order(tiny):
    config = load_config(tiny, ["targets.voicing={type: voicing}", "targets.f0={type: f0}"])
    assert list(config.targets) == ["voicing", "f0"]
    assert list(build_targets(config).built) == ["f0", "voicing"]
