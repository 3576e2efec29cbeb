"""Checkpoints with classes of other packages are read without these, and without running any code."""

import argparse
import dataclasses
import enum
import os
import sys
import types

import pytest
import torch

from v2skit.errors import UserError
from v2skit.models.foreign import Opaque, read_foreign, unwrapped

TENSOR = torch.arange(6.0).reshape(2, 3)


@pytest.fixture
def away(monkeypatch):
    """Classes of a package that is no longer there when a file is read."""
    package = types.ModuleType("away")

    class Dictionary:
        def __init__(self):
            self.symbols = ["<s>", "a"]

    class Mode(enum.Enum):
        PRELU = "prelu"

    @dataclasses.dataclass
    class Settings:
        layers: int = 12

    class Node:  # of OmegaConf: a value or a content, and its parent
        def __init__(self, parent=None, **attributes):
            self._parent = parent
            self.__dict__.update(attributes)

    found = {"Dictionary": Dictionary, "Mode": Mode, "Settings": Settings, "Node": Node}
    for name, value in found.items():
        value.__module__, value.__qualname__ = "away", name
        setattr(package, name, value)
    monkeypatch.setitem(sys.modules, "away", package)
    return package


def saved(tmp_path, monkeypatch, content):
    torch.save(content, tmp_path / "file.pt")
    monkeypatch.delitem(sys.modules, "away")
    return tmp_path / "file.pt"


def test_objects_of_a_missing_package_have_their_plain_values(tmp_path, monkeypatch, away):
    root = away.Node(_content={})
    root._content["layers"] = away.Node(root, _val=12)
    content = {
        "args": argparse.Namespace(layers=12), "cfg": root, "settings": away.Settings(), "mode": away.Mode.PRELU,
        "task_state": [away.Dictionary()], "model": {"w": TENSOR}, "plain": {"a": (1, 2.5, None, True, "b")},
    }  # fmt: skip
    tree = read_foreign(saved(tmp_path, monkeypatch, content))
    assert torch.equal(tree["model"]["w"], TENSOR) and tree["plain"] == content["plain"]
    assert isinstance(tree["args"], Opaque) and unwrapped(tree["args"]) == {"layers": 12}
    assert unwrapped(unwrapped(tree["cfg"])["layers"]) == 12 and unwrapped(tree["settings"]) == {"layers": 12}
    assert unwrapped(tree["mode"]) == "prelu" and unwrapped(tree["task_state"][0]) == {"symbols": ["<s>", "a"]}
    assert unwrapped(3) == 3


def test_an_object_that_contains_itself_is_an_error(tmp_path, monkeypatch, away):
    node = away.Node()
    node._content = node
    tree = read_foreign(saved(tmp_path, monkeypatch, {"cfg": node}))
    with pytest.raises(UserError, match="contains itself.*get the file from its authors again"):
        unwrapped(tree["cfg"])


class Runs:
    """Its pickle calls a function when it is read."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [exec, eval, __import__, print])
def test_a_call_in_a_file_is_recorded_and_not_made(tmp_path, function, capsys):
    code = f"open({str(tmp_path / 'run')!r}, 'w')"
    torch.save({"w": TENSOR, "evil": Runs(function, code)}, tmp_path / "file.pt")
    tree = read_foreign(tmp_path / "file.pt")
    assert unwrapped(tree["evil"]) == code and torch.equal(tree["w"], TENSOR)
    assert not (tmp_path / "run").exists() and capsys.readouterr().out == ""


def test_a_call_of_the_system_is_refused(tmp_path):
    torch.save({"evil": Runs(os.system, f"touch {tmp_path / 'run'}")}, tmp_path / "file.pt")
    with pytest.raises(UserError, match="file.pt is damaged or asks for calls that are not allowed; get it"):
        read_foreign(tmp_path / "file.pt")
    assert not (tmp_path / "run").exists()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(UserError, match="missing.pt does not exist or is no file; download it"):
        read_foreign(tmp_path / "missing.pt")
    file = tmp_path / "file.pt"
    torch.save({"w": TENSOR}, file)
    whole = file.read_bytes()
    torch.save({"w": TENSOR}, file, _use_new_zipfile_serialization=False)
    for content in (file.read_bytes(), whole[: len(whole) // 2], b"", b"text"):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"file.pt can't be read as a checkpoint .*in torch 1.6 or later"):
            read_foreign(file)
    torch.jit.script(torch.nn.Linear(1, 1)).save(str(file))
    with pytest.raises(UserError, match="torchscript"):
        read_foreign(file)
