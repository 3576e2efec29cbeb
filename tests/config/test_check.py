"""Type hints of constructors: what a config may give for each, and what the error says."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import Field
from torch import nn

from v2skit.config.check import check
from v2skit.config.load import check_component, origins_of, to_tree
from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.registry.registry import Registry

Encoder = Annotated[Component, "encoder"]


class Leaf(nn.Module):
    out_dim = 1

    def __init__(self, in_dim: int, size: int = 1) -> None:
        super().__init__()
        self.in_dim, self.size = in_dim, size


class Tree(nn.Module):
    """With components in every position that a type hint has."""

    out_dim = 1

    def __init__(
        self,
        one: Encoder,
        several: list[Encoder],
        pair: tuple[Encoder, Encoder] | None = None,
        named: dict[str, list[Encoder]] | None = None,
        mapped: Mapping[str, Encoder] | None = None,
        some: Sequence[Encoder | int] = (),
        default: Encoder = Component("leaf", {"size": 7}, kind="encoder"),
    ) -> None:
        super().__init__()
        self.parts = [one, several, pair, named, mapped, some, default]


class WithoutKind:
    def __init__(self, child: Component) -> None:
        pass


class Unreadable:
    def __init__(self, size: NotImported) -> None:  # noqa: F821  is not to be found
        pass


@pytest.fixture
def components(monkeypatch) -> None:
    own = Registry()
    for name in ("Leaf", "Tree", "WithoutKind", "Unreadable"):
        own.add("encoder", name.lower(), f"{__name__}:{name}", origin="mine")
    monkeypatch.setattr(plugins, "registry", lambda: own)


@pytest.mark.parametrize(
    ("hint", "value", "want"),
    [
        (int, 3, 3),
        (float, 3, 3.0),
        (float, "1e-3", 1e-3),
        (float, "-.5E+2", -50.0),
        (float | None, "1e-3", 1e-3),
        (Optional[int], None, None),  # noqa: UP045  the other form is tested too
        (int | str, "three", "three"),
        (int | str, "3", "3"),
        (int | list[int], [1, 2], [1, 2]),
        (float | Literal["auto"], "auto", "auto"),
        (Literal["a", "b"], "b", "b"),
        (tuple[int, int], [1, 2], (1, 2)),
        (tuple[float, ...], [1, "1e3"], (1.0, 1000.0)),
        (tuple[tuple[int, int], ...], [[1, 2], [3, 4]], ((1, 2), (3, 4))),
        (list[int], (1, 2), [1, 2]),
        (set[str], ["a", "a"], {"a"}),
        (Sequence[float], [1, 2], [1.0, 2.0]),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (dict[str, int], {"a": 1, "b": None}, {"a": 1}),
        (dict[str, Any], {"a": [1, "b"]}, {"a": [1, "b"]}),
        (Path, "exp/run", Path("exp/run")),
        (Path | None, "exp/run", Path("exp/run")),
        (Any, "what", "what"),
        (Callable[[int], int], len, len),
        (Annotated[int, Field(ge=1)], 1, 1),
    ],
    ids=str,
)
def test_values_that_fit(hint, value, want):
    got = check(value, hint, "here", path="key")
    assert got == want and type(got) is type(want)


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (int, True, "key: expected a whole number, not True"),
        (int, 1.0, "key: expected a whole number, not 1.0"),
        (int, "3", "key: expected a whole number, not '3'"),
        (int, None, "key: expected a whole number, not None"),
        (float, "3", "key: expected a number, not '3'"),
        (float, True, "key: expected a number, not True"),
        (bool, 1, "key: expected true or false, not 1"),
        (bool, "yes", "key: expected true or false, not 'yes'"),
        (str, 3, "key: expected text, not 3"),
        (int | None, "3", "key: expected a whole number, not '3'"),
        (int | str, 3.5, "key: expected a whole number or text, not 3.5"),
        (int | list[int], [1, "x"], "key.1: expected a whole number, not 'x'"),
        (float | Literal["auto"], "fast", "key: expected a number or 'auto', not 'fast'"),
        (Literal["a", "b"], "c", "key: 'c' is neither 'a' nor 'b'"),
        (Literal["a", "b", "c"], "d", "key: 'd' is neither 'a', 'b' nor 'c'"),
        (Literal["a"], "d", "key: expected 'a', not 'd'"),
        (tuple[int, int], [1, 2, 3], "key: expected a list of 2 values, not [1, 2, 3]"),
        (tuple[int, int], [1], "key: expected a list of 2 values, not [1]"),
        (tuple[int, int], [1, "x"], "key.1: expected a whole number, not 'x'"),
        (tuple[int, ...], 3, "key: expected a list, not 3"),
        (Sequence[str], "abc", "key: expected a list, not 'abc'"),
        (Sequence[str], 3, "key: expected a list, not 3"),
        (list[list[int]], [[1], [2, "x"]], "key.1.1: expected a whole number, not 'x'"),
        (set[int], 3, "key: expected a list, not 3"),
        (Mapping[str, int], 3, "key: expected keys and values, not 3"),
        (dict[str, int], {"a": "x"}, "key.a: expected a whole number, not 'x'"),
        (dict[int, int], {"a": 1}, "key.a: expected a whole number, not 'a'"),
        (Path, 3, "key: expected a path, not 3"),
        (Path | None, 3, "key: expected a path, not 3"),
        (Annotated[int, Field(ge=1)], 0, "key: expected at least 1, not 0"),
        (Encoder, 3, "key: expected 'type:' with the name of a component of kind encoder, not 3"),
        (Encoder | int, "x", "key: expected 'type:' with the name of a component of kind encoder or a whole number"),
        (Encoder | str, {"type": "conformr"}, "key: unknown encoder 'conformr'; did you mean 'conformer'?"),
    ],
    ids=str,
)
def test_values_that_do_not_fit(hint, value, message):
    with pytest.raises(UserError) as error:
        check(value, hint, "here", path="key")
    assert str(error.value).startswith(f"here: {message}")
    assert error.value.fields["source"] == "here" and error.value.fields["key"].startswith("key")
    assert pickle.loads(pickle.dumps(error.value)).fields == error.value.fields


LEAF = {"type": "leaf", "size": 2}


def test_components_in_every_position_are_checked_and_built(components):
    tree = {
        "type": "tree", "one": LEAF, "several": [LEAF, {"type": "leaf"}], "pair": [LEAF, LEAF],
        "named": {"a": [LEAF], "b": None}, "mapped": {"c": LEAF}, "some": [LEAF, 3],
    }  # fmt: skip
    choice = check_component("encoder", tree, "here")
    assert origins_of(choice) == {"mine", "v2skit"}  # v2skit: of a default, which was not checked
    assert to_tree(check_component("encoder", to_tree(choice), "again")) == to_tree(choice)
    one, several, pair, named, mapped, some, default = build("encoder", choice, in_dim=5).parts
    leaves = [one, *several, *pair, *named["a"], mapped["c"], some[0], default]
    assert all(isinstance(leaf, Leaf) and leaf.in_dim == 5 for leaf in leaves)
    assert [leaf.size for leaf in leaves] == [2, 2, 1, 2, 2, 2, 2, 2, 7]
    assert isinstance(pair, tuple) and set(named) == {"a"} and some[1] == 3


@pytest.mark.parametrize(
    ("more", "message", "key"),
    [
        ({"several": [LEAF, {"type": "leaf", "sise": 1}]}, "unexpected argument 'sise'; did you", "several.1.sise"),
        ({"several": [LEAF, {"type": "leaf", "in_dim": 1}]}, "'in_dim' is set by the toolkit", "several.1.in_dim"),
        ({"several": LEAF}, "encoder.several: expected a list", "several"),
        ({"pair": [LEAF]}, "encoder.pair: expected a list of 2 values", "pair"),
        ({"named": {"a": [{"type": "laef"}]}}, "named.a.0: unknown encoder 'laef'", "named.a.0.type"),
        ({"named": {"a": [{**LEAF, "size": "x"}]}}, "named.a.0.size: expected a whole number", "named.a.0.size"),
        ({"mapped": {"c": {"size": 3}}}, "mapped.c: expected 'type:'", "mapped.c"),
        ({"some": [{**LEAF, "size": "x"}]}, "some.0.size: expected a whole number, not 'x'", "some.0.size"),
    ],
)
def test_mistakes_in_nested_components_are_named(components, more, message, key):
    with pytest.raises(UserError) as error:
        check_component("encoder", {"type": "tree", "one": LEAF, "several": [], **more}, "here")
    assert message in str(error.value)
    assert error.value.fields["key"] == f"encoder.{key}"


def test_a_missing_argument_and_a_type_hint_that_cannot_be_read_are_named(components):
    with pytest.raises(UserError, match="here: encoder 'tree': argument 'several' is missing"):
        check_component("encoder", {"type": "tree", "one": LEAF}, "here")
    with pytest.raises(UserError, match="a type hint of Unreadable's constructor can't be used: .*NotImported"):
        check_component("encoder", {"type": "unreadable", "size": 3}, "here")
    with pytest.raises(UserError, match="WithoutKind's constructor can't be used: say of which kind it is: Annotated"):
        check_component("encoder", {"type": "withoutkind", "child": LEAF}, "here")
