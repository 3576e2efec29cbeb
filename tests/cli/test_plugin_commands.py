"""Commands that plug-ins add."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import v2skit
from tests.registry.test_plugins import fake_plugin
from tests.registry.test_plugins import v2skit as command
from v2skit.cli.main import main
from v2skit.cli.plugin_commands import collect
from v2skit.errors import UserError
from v2skit.registry import plugins

HELLO = """
import v2skit
from v2skit.errors import UserError

@v2skit.hookimpl
def register_commands(subcommands):
    command = subcommands.add_parser("hello", help="greet somebody")
    command.add_argument("name")
    command.set_defaults(run=run)

def run(options):
    if options.name == "nobody":
        raise UserError("there is nobody; name somebody")
    print(f"hello {options.name}")
"""


def test_a_command_is_listed_run_and_fails_as_others_do(tmp_path):
    fake_plugin(tmp_path, "greets", HELLO)
    start = time.monotonic()
    listing = command("--help", site=tmp_path)
    seconds = time.monotonic() - start
    assert "hello        greet somebody" in listing.stdout and not listing.stderr
    assert seconds < 3, "a loaded machine may take longer than the 0.5 s of an idle one"
    assert command("hello", "you", site=tmp_path).stdout == "hello you\n"
    failed = command("hello", "nobody", site=tmp_path)
    assert (failed.returncode, failed.stderr) == (1, "v2skit: error: there is nobody; name somebody\n")
    wrong = command("hello", "you", "--loud", site=tmp_path)
    assert wrong.returncode == 2 and "v2skit hello: error: unrecognized arguments: --loud" in wrong.stderr
    assert "greets 1.2\n  command hello\n" in command("plugins", site=tmp_path).stdout


def test_help_and_commands_do_not_import_torch(tmp_path):
    fake_plugin(tmp_path, "greets", HELLO)
    (tmp_path / "torch.py").write_text("raise SystemExit('torch is imported')\n")
    for arguments in (["--help"], ["hello", "you"], ["plugins"]):
        assert command(*arguments, site=tmp_path).returncode == 0


def _plugin(*names: str, run: Any = print, after: Exception | None = None) -> Callable[[], Any]:
    @v2skit.hookimpl
    def register_commands(subcommands: Any) -> None:
        for name in names:
            subcommands.add_parser(name, help=f"do {name}").set_defaults(run=run)
        if after:
            raise after

    return lambda: SimpleNamespace(register_commands=register_commands)


@pytest.fixture
def install(monkeypatch) -> Callable[..., None]:
    def install(**entries: Callable[[], Any]) -> None:
        points = [
            SimpleNamespace(
                name=name, value=name, module="no_such_module", dist=SimpleNamespace(version="1"), load=load
            )
            for name, load in entries.items()
        ]
        monkeypatch.setattr("importlib.metadata.entry_points", lambda group: points)
        loaded = plugins.load.__wrapped__()
        monkeypatch.setattr(plugins, "load", lambda: loaded)

    return install


def test_a_clash_is_named_with_both_plugins_and_concerns_only_that_command(install, capsys):
    install(a=_plugin("one", "two", run=lambda options: print("done")), b=_plugin("two", "synth"))
    assert main(["two"]) == 1
    message = "command 'two' is registered twice: by a and by b; uninstall one of the two or rename its command"
    assert capsys.readouterr().err == f"v2skit: error: {message}\n"
    assert main(["one"]) == 0 and capsys.readouterr().out == "done\n"
    with pytest.raises(SystemExit):
        main(["--help"])
    output = capsys.readouterr()
    assert "command 'synth' is registered twice: by v2skit and by b" in output.err and message in output.err
    assert "do one" in output.out and "do two" not in output.out and "do synth" not in output.out


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (_plugin("one", after=ValueError("oh")), "register_commands: ValueError: oh"),
        (_plugin("one", run=None), "command 'one' has no function; call its set_defaults"),
        (_plugin("one", "one"), "command 'one' is added twice"),
    ],
    ids=["fails", "no function", "twice"],
)
def test_a_plugin_whose_hook_fails_adds_no_command(install, capsys, plugin, message):
    install(bad=plugin, good=_plugin("fine"))
    found = collect(["synth"])
    assert found.names == {"good": ["fine"]} and message in found.broken["bad"]
    with pytest.raises(SystemExit):
        main(["one"])
    assert "plug-in 'bad' is broken and left out: register_commands: " in capsys.readouterr().err


def _nested(required: bool = True, run: Any = print) -> Callable[[], Any]:
    @v2skit.hookimpl
    def register_commands(subcommands: Any) -> None:
        below = subcommands.add_parser("one", help="do one").add_subparsers(required=required, metavar="WHAT")
        below.add_parser("deep").set_defaults(run=run)

    return lambda: SimpleNamespace(register_commands=register_commands)


def test_a_command_has_subcommands(install, capsys):
    install(a=_nested(run=lambda options: print("done")))
    assert collect(["synth"]).names == {"a": ["one"]}
    assert main(["one", "deep"]) == 0 and capsys.readouterr().out == "done\n"
    with pytest.raises(SystemExit):
        main(["one"])
    assert "the following arguments are required: WHAT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        (_nested(run=None), "command 'one deep' has no function; call its set_defaults(run=...)"),
        (_nested(required=False), "command 'one' has no function; .* or make its subcommands required"),
    ],
    ids=["no function", "optional"],
)
def test_a_subcommand_without_a_function_is_named(install, plugin, message):
    install(bad=plugin)
    found = collect(["synth"])
    assert not found.names and re.search(message.replace("(run=...)", r"\(run=...\)"), found.broken["bad"])


def test_an_error_of_a_command_of_a_plugin_is_one_sentence(install, capsys):
    def fail(options: Any) -> None:
        raise UserError("it can't; do this")

    install(a=_plugin("one", run=fail))
    assert main(["one"]) == 1 and capsys.readouterr().err == "v2skit: error: it can't; do this\n"
