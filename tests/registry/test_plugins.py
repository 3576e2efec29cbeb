"""Plug-ins: the example is installed by pip; broken, clashing and misspelt ones are errors with their names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from v2skit.errors import UserError
from v2skit.registry import registry as registry_module
from v2skit.registry.kinds import Kind
from v2skit.registry.registry import Registry


def v2skit(*arguments: str, site: Path | None = None, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    """Run the command line in a process of its own, with one more folder of installed packages."""
    path = os.pathsep.join(str(p) for p in (ROOT, site, os.environ.get("PYTHONPATH")) if p)
    return subprocess.run(
        [sys.executable, "-m", "v2skit", *arguments],
        env={**os.environ, "PYTHONPATH": path}, cwd=cwd, capture_output=True, text=True,
    )  # fmt: skip


def fake_plugin(site: Path, name: str, code: str) -> None:
    """What pip leaves of an installed plug-in: a module and its entry point."""
    (site / f"{name}.py").write_text(code)
    info = site / f"{name}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(f"[v2skit]\n{name} = {name}\n")


HOOK = "import v2skit\n@v2skit.hookimpl\ndef register_components(register):\n    register({})\n"


@pytest.fixture(scope="module")
def example(tmp_path_factory) -> Path:
    """The example plug-in, installed by pip into a folder of its own."""
    site = tmp_path_factory.mktemp("site")
    source = ROOT / "plugins/v2skit-upsampling"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(site), str(source)], check=True, capture_output=True)
    return site


def test_example_is_listed(example):
    listing = v2skit("plugins", site=example).stdout
    assert "upsampling 0.1.0\n  decoder mel_upsampling\n  loss delta\n" in listing
    components = v2skit("components", "decoder", site=example).stdout
    assert "mel_upsampling  [upsampling]" in components and "channels: 128" in components


def test_example_trains_and_its_absence_is_named(example, recipe_folder, tiny):
    options = [
        "--config",
        str(tiny),
        "--work_dir",
        str(recipe_folder),
        "--set",
        "losses.delta={type: delta, weight: 1}",
    ]
    options += ["--set", "networks.decoder={type: mel_upsampling}"]
    result = v2skit("stage", "pretrain", *options, site=example)
    assert result.returncode == 0, result.stderr
    log = (recipe_folder / "exp/tiny/pretrain/log.jsonl").read_text()
    assert '"delta"' in log
    # Without the plug-in the config can't be checked, and the checkpoint says what it needs.
    result = v2skit("stage", "pretrain", *options)
    assert result.returncode == 1 and "unknown decoder 'mel_upsampling'" in result.stderr
    run = recipe_folder / "exp/tiny/pretrain"
    result = v2skit("synth-data", "x", "--model", str(run), "--out", "y")
    assert result.returncode == 1
    assert "was made with plug-in 'upsampling' 0.1.0, which is not installed" in result.stderr


def test_broken_plugin_is_named_and_the_rest_works(tmp_path):
    fake_plugin(tmp_path, "half", "import a_module_that_is_not_there\n")
    result = v2skit("plugins", site=tmp_path)
    assert result.returncode == 0
    assert "half 1.2\n  broken: ModuleNotFoundError: No module named 'a_module_that_is_not_there'" in result.stdout
    result = v2skit("components", "encoder", site=tmp_path)
    assert result.returncode == 0 and "conformer" in result.stdout and "plug-in 'half' is broken" in result.stderr


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (
            HOOK.format("'encoder', 'conformer', 'wrong:Conformer'"),
            "encoder 'conformer' is registered twice: by v2skit",
        ),
        (HOOK.format("'decodr', 'mine', 'wrong:Mine'"), "unknown kind 'decodr'; did you mean 'decoder'?"),
        (HOOK.format("'decoder', 'mine', 'wrong'"), "not of the form 'package.module:Class'"),
        ("import v2skit\n@v2skit.hookimpl\ndef register_component(register):\n    pass\n", "register_component"),
    ],
    ids=["duplicate", "unknown kind", "bad target", "misspelt hook"],
)
def test_wrong_plugins_are_named_and_the_rest_works(tmp_path, code, message):
    fake_plugin(tmp_path, "wrong", code)
    result = v2skit("plugins", site=tmp_path)
    assert result.returncode == 0 and "wrong 1.2\n  broken: " in result.stdout and message in result.stdout
    assert "Traceback" not in result.stderr


KIND = "import v2skit\n@v2skit.hookimpl\ndef register_kinds(register):\n    register('segmenter', '{}', ('clock',))\n"


def test_a_kind_of_a_plugin_has_components_of_others_and_two_of_one_name_are_an_error(tmp_path):
    fake_plugin(tmp_path, "kinds", KIND.format("waveform -> segments"))
    fake_plugin(tmp_path, "a_user", HOOK.format("'segmenter', 'mine', ':Mine'") + "class Mine:\n    'My own.'\n")
    fake_plugin(tmp_path, "other", KIND.format("another thing"))
    listing = v2skit("components", "segmenter", site=tmp_path)
    assert listing.stdout == "segmenter: waveform -> segments  [kinds]\n  mine  [a_user]\n      My own.\n"
    clash = "kind 'segmenter' is registered twice: by kinds (waveform -> segments) and by other (another thing)"
    assert f"plug-in 'other' is broken and left out: {clash}" in listing.stderr
    assert "kinds 1.2\n  kind segmenter\n" in v2skit("plugins", site=tmp_path).stdout


def test_the_kind_of_a_broken_plugin_is_unknown(tmp_path):
    fails = "@v2skit.hookimpl\ndef register_components(register):\n    raise ValueError('oh')\n"
    fake_plugin(tmp_path, "kinds", KIND.format("waveform -> segments") + fails)
    fake_plugin(tmp_path, "a_user", HOOK.format("'segmenter', 'mine', ':Mine'") + "class Mine:\n    'My own.'\n")
    fake_plugin(tmp_path, "z_user", HOOK.format("'segmenter', 'last', ':Mine'") + "class Mine:\n    'My own.'\n")
    listing = v2skit("plugins", site=tmp_path).stdout
    assert "kinds 1.2\n  broken: ValueError: oh\n" in listing and "unknown kind 'segmenter'" in listing
    assert "kind segmenter" not in listing and "segmenter mine" not in listing


def test_a_kind_that_is_gone_names_the_broken_plugin():
    registry = Registry({})
    registry.add_kinds([("segmenter", "waveform -> segments", (), None)], "kinds")
    registry.add_kinds([("other", "x -> y", (), None)], "more")
    registry.add("segmenter", "mine", "a.b:C", "user")
    registry.add("other", "mine", "a.b:C", "user")
    registry.broken["kinds"] = "ValueError: oh"
    registry.remove_kinds("kinds")
    assert list(registry.kinds) == ["other"] and [entry.kind for entry in registry.entries()] == ["other"]
    with pytest.raises(UserError, match="unknown kind 'segmenter'.*\n  plug-in kinds is broken: ValueError: oh"):
        registry.entry("segmenter", "mine")


def test_duplicate_names_both_origins():
    registry = Registry()
    registry.add("decoder", "mine", "a.b:C", "first")
    with pytest.raises(UserError, match=r"by first \(a.b:C\) and by second \(d.e:F\)"):
        registry.add("decoder", "mine", "d.e:F", "second")


def test_a_kind_of_version_0_1_is_an_error_with_its_new_name(monkeypatch):
    monkeypatch.setattr(registry_module, "KINDS", {"discriminator": Kind("")})
    with pytest.raises(UserError, match=r"critic 'mine' \(from old\) is of a plug-in for .* kind 'discriminator'"):
        Registry().add("critic", "mine", "a.b:C", "old")
    with pytest.raises(UserError, match="unknown kind 'critic'; it is 'discriminator' now"):
        Registry().entry("critic", "mine")


def test_component_that_cannot_be_imported_is_named():
    registry = Registry()
    registry.add("decoder", "gone", "no_such_package:C", "some plug-in")
    with pytest.raises(UserError, match=r"decoder 'gone' \(from some plug-in\) can't be loaded"):
        registry.entry("decoder", "gone").load()
