"""Components of plug-ins for version 0.1 are refused with the new name; the same names elsewhere are free."""

from __future__ import annotations

import pytest

from v2skit.errors import UserError
from v2skit.registry.kinds import check_names, construct


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
