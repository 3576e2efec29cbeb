"""``plugins:`` of a config: paths of bases and overrides, what is wrong with them, and what the stored config has."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from v2skit.cli.main import main
from v2skit.config.load import check_config, load_config, load_plugins, to_tree
from v2skit.config.plugin_files import Copies
from v2skit.errors import UserError
from v2skit.registry import trust
from v2skit.registry.build import build
from v2skit.registry.files import digest_of

SOURCE = """
import v2skit

@v2skit.hookimpl
def register_components(register):
    register("tracker", "{0}", ":Tracker")

class Tracker:
    \"\"\"Tracks {0}.\"\"\"
    def start(self): ...
    def update(self, frame): ...
    def finish(self): ...
"""


@pytest.fixture
def config(tmp_path: Path, tiny: Path) -> Path:
    """A config with a plug-in file, whose base in another folder has one too."""
    for folder, name in (("", "own"), ("base", "below"), ("", "set")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{name}.py").write_text(SOURCE.format(name))
    (tmp_path / "base/base.yaml").write_text(yaml.safe_dump({"base": str(tiny), "plugins": ["below.py"]}))
    path = tmp_path / "conf.yaml"
    path.write_text(yaml.safe_dump({"base": "base/base.yaml", "plugins": ["own.py"], "tracker": {"type": "below"}}))
    return path


def test_paths_are_relative_to_the_config_that_names_them_and_add_up(config, monkeypatch):
    assert [file.name for file in load_plugins(config)] == ["below.py", "own.py"]
    monkeypatch.chdir(config.parent)
    chosen = load_config(config, ["plugins=[set.py, own.py]", "tracker.type=set"])
    assert [file.name for file in chosen.plugins] == ["below.py", "own.py", "set.py"]
    assert type(build("tracker", chosen.tracker)).__doc__ == "Tracks set."


def test_a_stored_config_needs_no_file_and_runs_where_it_is_trusted(config, monkeypatch):
    tree = to_tree(load_config(config))
    for path in config.parent.rglob("*.py"):
        path.unlink()
    again = check_config(tree)
    assert to_tree(again) == tree and type(build("tracker", again.tracker)).__doc__ == "Tracks below."
    monkeypatch.setattr(trust, "_named", set())
    with pytest.raises(UserError, match=r"old config runs the plug-in file below.py saved in it; .*--trust-plugins"):
        check_config(tree, "old config")
    with trust.trusting():
        assert check_config(tree).tracker.type == "below"
    tree["plugins"][0]["source"] += "x = 1\n"
    with trust.trusting(), pytest.raises(UserError, match="below.py does not match its digest"):
        check_config(tree)


def test_a_file_is_not_run_by_a_stored_config_that_is_not_trusted(config, monkeypatch):
    tree = to_tree(load_config(config))
    source = "raise SystemExit('it was run')\n"
    monkeypatch.setattr(trust, "_named", set())
    tree["plugins"][0] |= {"source": source, "digest": digest_of(source)}
    with pytest.raises(UserError, match="if you trust where it comes from"):
        check_config(tree)


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        (["gone.py"], "plug-in file .*gone.py can't be read: No such file.*; correct its path or restore it"),
        (["base/base.yaml"], "is no Python file"),
        ("own.py", "expected a list of paths of Python files"),
        ([3], "expected a list of paths"),
        (None, "expected a list of paths"),
        (["own.py", "other/own.py"], "two different files are called own.py; rename one"),
        (["broken.py"], r"plug-in broken.py can't be loaded: ZeroDivisionError: .* \(line 1\)"),
        (["twice.py"], "tracker 'below' is registered twice: by below.py .* and by twice.py"),
    ],
    ids=str,
)
def test_mistakes_name_the_config_and_the_key(config, plugins, message):
    folder = config.parent
    (folder / "other").mkdir()
    (folder / "other/own.py").write_text(SOURCE.format("other"))
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "twice.py").write_text(SOURCE.format("below"))
    config.write_text(yaml.safe_dump({"base": "base/base.yaml", "plugins": plugins}))
    with pytest.raises(UserError, match=f"{config}: plugins: .*{message}") as error:
        load_config(config)
    assert error.value.fields["key"] == "plugins" and error.value.fields["source"] == str(config)


@pytest.mark.parametrize(("character", "line"), [("\x0c", 1), ("x = 1\nname = '\x1b[0m'", 2), ("# \0", 1)])
def test_a_control_character_is_named_with_its_file_and_line(config, character, line):
    (config.parent / "own.py").write_text(f"{character}\n{SOURCE}")
    message = (
        f"plugins: line {line} of plug-in file .*own.py has a control character.*; delete it, or in a string write"
    )
    with pytest.raises(UserError, match=message) as error:
        load_config(config)
    assert error.value.fields["source"] == str(config)


KIND = """
from typing import Annotated

import v2skit
from v2skit.registry.component import Component

@v2skit.hookimpl
def register_kinds(register):
    register("segmenter", "waveform -> segments")

@v2skit.hookimpl
def register_components(register):
    register("segmenter", "energy", ":Energy")
    register("metric", "by_segment", ":BySegment")

class Energy: ...

class BySegment:
    def __init__(self, segmenter: Annotated[Component, "segmenter"]): ...
"""


def test_a_stored_config_calls_no_class_as_a_component_of_a_plugin_kind(config, monkeypatch):
    monkeypatch.setattr(trust, "_named", set())
    (config.parent / "own.py").write_text(KIND)
    tree = to_tree(load_config(config, ["scoring.metrics.m={type: by_segment, segmenter: {type: energy}}"]))
    assert check_config(tree).scoring.metrics["m"].args["segmenter"].type == "energy"
    by_path = {"type": "numpy:memmap", "filename": "precious.txt", "mode": "w+", "shape": 5}
    tree["scoring"]["metrics"]["m"]["segmenter"] = by_path
    with pytest.raises(UserError, match="old runs the class numpy:memmap as a segmenter, a kind of a plug-in; if you"):
        check_config(tree, "old")
    with trust.trusting():
        assert check_config(tree).scoring.metrics["m"].args["segmenter"].type == "numpy:memmap"
    load_config(config, [f"scoring.metrics.m={{type: by_segment, segmenter: {by_path}}}"])  # names the class
    assert check_config(tree).scoring.metrics["m"].args["segmenter"].type == "numpy:memmap"


def test_copies_replace_files_that_are_gone_and_where_preferred_those_that_were_changed(config, tmp_path, monkeypatch):
    monkeypatch.setattr(trust, "_named", set())
    notes: list[str] = []
    copies = Copies(tmp_path / "plugins", note=notes.append)
    preferred = Copies(tmp_path / "plugins", preferred=True, note=notes.append)
    own = tmp_path / "own.py"
    copies.folder.mkdir()
    (copies.folder / "own.py").write_text(SOURCE.format("copy"))
    assert load_config(config, ["tracker.type=own"], copies).tracker.type == "own" and not notes
    with trust.trusting():
        assert load_config(config, ["tracker.type=copy"], preferred).tracker.type == "copy"
    own.unlink()
    with trust.trusting():
        assert load_config(config, ["tracker.type=copy"], copies).tracker.type == "copy"
    assert "was changed since the training" in notes[0] and "does not exist; its copy" in notes[1]


@pytest.mark.parametrize(("gone", "why"), [(True, "does not exist"), (False, "was changed since the training")])
def test_a_copy_that_is_not_trusted_is_not_run(config, tmp_path, monkeypatch, gone, why):
    monkeypatch.setattr(trust, "_named", set())
    copies = Copies(tmp_path / "plugins", preferred=True, note=pytest.fail)
    copies.folder.mkdir()
    (copies.folder / "own.py").write_text("raise SystemExit('it was run')\n")
    if gone:
        (tmp_path / "own.py").unlink()
    message = (
        f"own.py {why}; restore it, or, if you trust where its copy .*plugins/own.py comes from, use that with --t"
    )
    with pytest.raises(UserError, match=message):
        load_config(config, (), copies)


def test_a_copy_is_trusted_no_longer_than_the_command_says(config, tmp_path, monkeypatch):
    copies = Copies(tmp_path / "plugins", note=lambda note: None)
    copies.folder.mkdir()
    (copies.folder / "own.py").write_text(SOURCE.format("copy") + "x = 1\n")
    (tmp_path / "own.py").unlink()
    with trust.trusting():
        tree = to_tree(load_config(config, ["tracker.type=copy"], copies))
    with pytest.raises(UserError, match="runs the plug-in file own.py saved in it"):
        check_config(tree)


def test_listings_have_the_plugins_of_a_config(config, capsys):
    assert main(["components", "tracker", "--config", str(config)]) == 0
    assert "  below  [below.py]\n      Tracks below.\n" in capsys.readouterr().out
    assert main(["plugins", "--config", str(config)]) == 0
    digest = load_plugins(config)[1].digest
    assert f"own.py {digest}\n  tracker own\n" in capsys.readouterr().out
    assert main(["components", "tracker"]) == 0 and "below" not in capsys.readouterr().out


BETAS = ("finetune.betas=[0.9, 0.98]", "finetune.betas.0=0.5")


def test_overrides_reach_the_entries_of_lists(config):
    discriminators = "{a: {type: multi_period, periods: [2, 3, 5]}}"
    losses = f"losses.d={{type: adversarial, weight: 1, discriminators: {discriminators}}}"
    chosen = load_config(config, [losses, "losses.d.discriminators.a.periods.1=7", *BETAS])
    assert list(chosen.losses["d"].args["discriminators"]["a"].args["periods"]) == [2, 7, 5]
    assert chosen.finetune.betas == [0.5, 0.98]
    for key, message in {
        "finetune.betas.2=1": "--set: finetune.betas is a list with entries 0 to 1, not '2'; set the whole list",
        "finetune.betas.first=1": "not 'first'",
    }.items():
        with pytest.raises(UserError, match=message):
            load_config(config, [*BETAS, key])
