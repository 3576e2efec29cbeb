"""Plug-in files: executed once, found by the components of their config, in other processes too."""

from __future__ import annotations

import multiprocessing
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from v2skit.config.load import check_component
from v2skit.errors import UserError
from v2skit.registry import files, plugins, trust
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.registry.files import PluginFile, Portable, check_unchanged, digest_of, read_file

HEAD = "import v2skit\n@v2skit.hookimpl\ndef register_components(register):\n"
TRACKER = (
    HEAD
    + """    register("tracker", "still", ":Still")

class Still:
    def __init__(self, x: int = {x}):
        self.x = x
    def start(self): ...
    def update(self, frame): ...
    def finish(self): ...
"""
)


def plugin(source: str, name: str = "mine.py") -> PluginFile:
    return PluginFile(name, digest_of(source), source)


STILL = plugin(TRACKER.format(x=3))


def test_components_are_found_only_where_their_file_is_in_use():
    with plugins.using([STILL]):
        choice = check_component("tracker", {"type": "still"}, "here")
    assert choice.args == {"x": 3} and choice.origin == "mine.py"
    assert build("tracker", choice).x == 3
    with pytest.raises(UserError, match="unknown tracker 'still'"):
        plugins.registry().entry("tracker", "still")


def test_two_versions_of_a_file_are_used_side_by_side():
    found = []
    for file in (STILL, plugin(TRACKER.format(x=4))):
        with plugins.using([file]):
            found.append(check_component("tracker", {"type": "still"}, "here"))
    assert [build("tracker", choice).x for choice in found] == [3, 4]
    assert type(build("tracker", found[0])) is type(build("tracker", found[0]))


def _in_child(work: Callable[[], int], results: Any) -> None:
    results.put(work())


class _Build:
    def __init__(self, choice: Component) -> None:
        self.choice = choice

    def __call__(self) -> int:
        return build("tracker", self.choice).x


class _Read:
    def __init__(self, portable: Portable) -> None:
        self.portable = portable

    def __call__(self) -> int:
        return self.portable.value.x


@pytest.mark.parametrize("portable", [False, True], ids=["choice", "built"])
def test_another_process_executes_the_file(portable):
    with plugins.using([STILL]):
        choice = check_component("tracker", {"type": "still", "x": 7}, "here")
    spawn = multiprocessing.get_context("spawn")
    results = spawn.SimpleQueue()
    work = _Read(Portable(build("tracker", choice))) if portable else _Build(choice)
    process = spawn.Process(target=_in_child, args=(work, results))
    process.start()
    process.join()
    assert process.exitcode == 0 and results.get() == 7


def test_dataclasses_and_pickle_work_in_a_file():
    source = HEAD + "    pass\nfrom dataclasses import dataclass\n@dataclass\nclass Point:\n    x: 'int' = 1\n"
    point = plugin(source).module().Point(2)
    assert pickle.loads(pickle.dumps(point)) == point


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import no_such_package\n", "No module named 'no_such_package' (line 1)"),
        ("x = 1\nx.y()\n", "'int' object has no attribute 'y' (line 2)"),
        ("def f(:\n", "SyntaxError: "),
        ("import sys\nsys.exit(0)\n", "it ends the process"),
        ("x = 1\n", "plug-in mine.py has no hook; mark one of"),
        (HEAD + "    register('encoder', 'conformer', ':C')\n", "registered twice: by v2skit"),
        (HEAD + "    register('decodr', 'x', ':C')\n", "unknown kind 'decodr'; did you mean 'decoder'?"),
        (HEAD.replace("components(register)", "component(register)") + "    pass\n", "register_component"),
        (HEAD.replace("components(register)", "commands(subcommands)") + "    pass\n", "of installed packages only"),
        (HEAD + "    raise ValueError('oh')\n", "plug-in mine.py: ValueError: oh"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(source, message):
    with pytest.raises(UserError) as error, plugins.using([plugin(source)]):
        pass
    assert message in str(error.value) and str(error.value).startswith("plug-in mine.py")


def test_a_missing_class_is_named_with_the_file():
    with plugins.using([plugin(HEAD + "    register('encoder', 'gone', ':Gone')\n")]):
        entry = plugins.registry().entry("encoder", "gone")
    with pytest.raises(UserError, match=r"encoder 'gone' \(from mine.py\) can't be loaded: AttributeError"):
        entry.load()


def test_two_plugins_of_one_name_are_refused():
    files = [STILL, plugin(HEAD + "    pass\n")]
    with pytest.raises(UserError, match="two plug-ins are called 'mine.py'"), plugins.using(files):
        pass


def test_tracebacks_show_the_source_that_was_executed(tmp_path: Path):
    path = tmp_path / "mine.py"
    path.write_text(HEAD + "    pass\ndef fail():\n    raise KeyError('x')\n")
    module = read_file(path).module()
    path.unlink()
    with pytest.raises(KeyError) as error:
        module.fail()
    assert "raise KeyError('x')" in "".join(traceback.format_tb(error.value.__traceback__))


def test_files_that_cannot_be_read_are_named(tmp_path: Path):
    (tmp_path / "text.txt").write_text("")
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large.py").write_text("#" * 1_000_001)
    for name, message in {
        "text.txt": "is no Python file", "gone.py": "No such file", "binary.py": "can't be read", "large.py": "larger",
    }.items():  # fmt: skip
        with pytest.raises(UserError, match=message):
            read_file(tmp_path / name)


def test_a_damaged_copy_is_refused():
    with pytest.raises(UserError, match="does not match its digest"):
        PluginFile("mine.py", digest_of("x = 1\n"), "x = 2\n")


def test_files_with_the_same_short_digest_are_not_the_same(monkeypatch):
    monkeypatch.setattr(files, "digest_of", lambda source: "0" * 12)
    monkeypatch.setattr(trust, "_named", set())
    one, two = (PluginFile("mine.py", "0" * 12, f"x = {x}\n") for x in (1, 2))
    trust.trust([one])
    trust.check_trusted([one], [], "a checkpoint")
    with pytest.raises(UserError, match="runs the plug-in file mine.py saved in it"):
        trust.check_trusted([two], [], "a checkpoint")
    assert [file.module().x for file in (one, two)] == [1, 2]
    with pytest.raises(UserError, match="another version of plug-in mine.py"):
        check_unchanged([one], [two], "a checkpoint")


def test_only_other_content_of_the_same_name_is_a_change():
    other = plugin("x = 2\n")
    check_unchanged([STILL], [STILL, plugin("x = 2\n", "new.py")], "a checkpoint")
    check_unchanged([STILL], [], "a checkpoint")
    check_unchanged([STILL], [other], "a checkpoint", but=["mine.py"])
    with pytest.raises(UserError, match=r"a checkpoint was made with another version of plug-in mine.py .*--force"):
        check_unchanged([STILL], [other], "a checkpoint")
