"""Digests of the sources of installed plug-ins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.registry.test_plugins import HOOK, fake_plugin
from v2skit.errors import UserError
from v2skit.registry import plugins, sources


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """A plug-in of two modules, and a module of no package."""
    fake_plugin(tmp_path, "own_hooks", HOOK.format("'encoder', 'own', 'own_networks.encoder:Own'"))
    (tmp_path / "own_networks").mkdir()
    for name in ("__init__", "encoder", "other"):
        (tmp_path / f"own_networks/{name}.py").write_text("x = 1\n")
    (tmp_path / "own_module.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    plugins.load.cache_clear()
    yield tmp_path
    plugins.load.cache_clear()


def digest(name: str) -> str:
    sources.digest_of.cache_clear()  # as in another process
    return sources.digests([name, "v2skit", "not_here"])[name]


@pytest.mark.parametrize("path", ["own_hooks.py", "own_networks/other.py"])
def test_each_file_of_a_plugin_counts(installed, path):
    before = digest("own_hooks")
    assert digest("own_hooks") == before and "own_networks" not in sys.modules
    (installed / path).write_text((installed / path).read_text() + "y = 2\n")
    assert digest("own_hooks") != before


def test_a_change_is_an_error_with_both_digests(installed):
    before = {"own_module": digest("own_module"), "gone": "0123456789ab"}
    sources.check_unchanged(before, "the checkpoint")  # what is missing is named where the model is built
    (installed / "own_module.py").write_text("x = 2\n")
    now = digest("own_module")
    message = (
        f"the checkpoint was made with other sources of plug-in 'own_module' .digest {before['own_module']}, now {now}."
    )
    with pytest.raises(UserError, match=message):
        sources.check_unchanged(before, "the checkpoint")


def test_processes_with_other_plugins_are_named(installed):
    mine = sources.identities({"v2skit", "own_hooks"})
    assert mine["own_hooks"] == f"1.2 {digest('own_hooks')}" and set(mine) == {"v2skit", "own_hooks"}
    sources.check_alike([mine, dict(mine)])
    with pytest.raises(
        UserError, match="rank 1 has another version of plug-in 'own_hooks' than rank 0 .1.3, there 1.2"
    ):
        sources.check_alike([mine, {**mine, "own_hooks": "1.3"}])
