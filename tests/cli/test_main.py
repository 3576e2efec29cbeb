"""Usage of the command line: what is refused, and what the refusal says."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from v2skit.cli.main import COMMANDS, main
from v2skit.cli.stage import STAGES
from v2skit.recipes import stages


def refused(capsys, *arguments: str) -> str:
    """The message with which a wrong usage is refused."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in STAGES if name != "synth"])
def test_a_stage_without_its_command_is_refused_with_the_remedy(name, capsys):
    assert f"stages are run with: v2skit stage {name}" in refused(capsys, name, "--config", "conf/mel.yaml")


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        ("synth", ["required: VIDEO"]),
        ("synth --config conf/mel.yaml --force", ["unrecognized arguments: --config", "v2skit stage synth"]),
        ("synth --model m --data_dir data --out out", ["arguments: --data_dir", "v2skit synth-data DATA_DIR"]),
        ("synth clip.mp4 --model m --set seed=2", ["v2skit synth: error: unrecognized arguments: --set seed=2"]),
        ("synth clip.mp4 --model m --exp exp", ["unrecognized arguments: --exp exp"]),
        ("synth-data data/test --model m", ["required: -o/--out"]),
        ("synth-data data/test --model m -o out --voice anna", ["unrecognized arguments: --voice anna"]),
        ("stage synth clip.mp4", ["unrecognized arguments: clip.mp4", "v2skit synth VIDEO... --model M"]),
        ("stage synth --model m", ["unrecognized arguments: --model m", "v2skit synth VIDEO... --model M"]),
        ("stage sing", ["invalid choice: 'sing'", "obtain", "score"]),
        ("stage", ["required: NAME"]),
        ("", ["required: COMMAND"]),
    ],
)
def test_wrong_usage_is_refused_with_the_remedy(arguments, messages, capsys):
    error = refused(capsys, *arguments.split())
    assert all(message in error for message in messages), error


def test_the_stages_are_those_of_the_recipes():
    assert tuple(STAGES) == tuple(stages.STAGES)


def test_every_command_has_help_and_a_file_of_its_own(capsys):
    names = {command.__name__.rpartition(".")[2] for command in COMMANDS}
    files = {path.stem for path in (ROOT / "v2skit/cli").glob("*.py")}
    assert files - names == {"__init__", "__main__", "failures", "main", "options", "plugin_commands"}
    for name in sorted(names):
        with pytest.raises(SystemExit) as end:
            main([name.replace("_", "-"), "--help"])
        assert end.value.code == 0 and f"usage: v2skit {name.replace('_', '-')}" in capsys.readouterr().out


def test_help_needs_no_network_library():
    code = "import sys\nfrom v2skit.cli.main import main\n"
    code += "try: main(['synth', '--help'])\nexcept SystemExit: assert not {'torch', 'av', 'numpy'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_run_sh_of_version_0_1_gets_the_remedy():
    command = [sys.executable, "-m", "v2skit.cli", "obtain", "--config", "conf/mel.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 2 and "move that egs folder away" in done.stderr
