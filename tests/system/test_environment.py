"""The record of a run's software."""

import json
import platform
import subprocess

import pytest

from v2skit.system import environment
from v2skit.version import __version__


@pytest.fixture(autouse=True)
def uncached():
    environment.describe.cache_clear()
    yield
    environment.describe.cache_clear()


def git(folder, *arguments):
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    subprocess.run(["git", "-C", folder, *author, *arguments], check=True, capture_output=True)


def test_it_names_python_and_all_distributions(tmp_path):
    environment.write_record(tmp_path)
    record = json.loads((tmp_path / "environment.json").read_text())
    assert record["python"] == platform.python_version() and record["code"]["v2skit"] == __version__
    assert {"torch", "numpy", "pytest"} <= record["distributions"].keys()


def test_the_commit_of_a_checkout_and_whether_files_were_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "_ROOT", tmp_path)
    assert environment.describe()["code"] == {"v2skit": __version__, "commit": None, "changed": None}
    git(tmp_path, "init")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    for text, changed in (("1", False), ("2", True)):
        (tmp_path / "file").write_text(text)
        environment.describe.cache_clear()
        code = environment.describe()["code"]
        assert len(code["commit"]) == 40 and code["changed"] is changed


def test_without_git_the_commit_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "_ROOT", tmp_path)
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert environment.describe()["code"]["commit"] is None
