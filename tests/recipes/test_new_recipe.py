"""``v2skit new-recipe``: the recipes that it writes run without edits."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.miniatures import clip, prepared, register, run_recipe, touch
from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.models.pack_header import read_card
from v2skit.recipes.new_recipe import new_recipe
from v2skit.recipes.shipped import CHECKOUT, is_checkout, names, shipped
from v2skit.system import extras
from v2skit.system.extras import MODULES


@pytest.fixture
def checkout(tmp_path):
    """The recipes, in a writable folder."""
    ignore = shutil.ignore_patterns("corpus", "data", "exp")
    for name in ("conf", "custom"):
        shutil.copytree(ROOT / "egs" / name, tmp_path / "checkout/egs" / name, ignore=ignore)
    shutil.copy(ROOT / "egs/stages.sh", tmp_path / "checkout/egs")
    for name in CHECKOUT:
        touch(tmp_path / "checkout" / name)
    register("custom", "v2skit.corpora.audiovisual.custom:Custom")
    return tmp_path / "checkout"


def test_a_new_recipe_runs_without_edits(checkout, tmp_path):
    for number in range(5):
        clip(tmp_path / f"my 'own' videos/anna/{number}.mp4", f"word {number}")
    said = new_recipe("mine", tmp_path / "my 'own' videos", checkout / "egs/conf")
    recipe = checkout / "egs/mine"
    assert said.startswith(f"videos in {tmp_path}/my 'own' videos: 5 of 1 speaker,")
    assert f"{recipe}/run.sh runs it" in said and "not installed here" not in said
    assert os.access(recipe / "run.sh", os.X_OK)
    run_recipe(recipe / "conf/mel.yaml", recipe, {})
    assert len(prepared(recipe, "train")) == 3


def test_every_config_is_the_recipes(checkout, tmp_path):
    for number in range(3):
        touch(tmp_path / f"videos/{number}.mp4")
    new_recipe("mine", tmp_path / "videos", checkout)
    new_recipe("yours", None, checkout)
    configs = sorted(path.name for path in (ROOT / "egs/custom/conf").glob("*.yaml"))
    for name, folder in (("mine", str(tmp_path / "videos")), ("yours", None)):
        paths = sorted((checkout / f"egs/{name}/conf").glob("*.yaml"))
        assert [path.name for path in paths] == configs
        for path in paths:
            header = path.read_text().splitlines()[0]
            assert f"egs/{name}/run.sh" in header and ("--corpus_dir" in header) == (folder is None)
            assert load_config(path).corpus.args["corpus_dir"] == (folder or "")
        readme = (checkout / f"egs/{name}/README.md").read_text()
        assert readme.startswith(f"# {name}\n") and ("--corpus_dir" in readme) == (folder is None)


def test_mistakes_leave_nothing(checkout, tmp_path):
    for name in ("", "my recipe", "../mine", "-mine", "a/b", "conf"):
        with pytest.raises(UserError, match="is no name for a recipe"):
            new_recipe(name, None, checkout)
    with pytest.raises(UserError, match="exists already"):
        new_recipe("custom", None, checkout)
    with pytest.raises(UserError, match="is not a folder"):
        new_recipe("mine", tmp_path / "nowhere", checkout)
    with pytest.raises(UserError, match=r"lat.udce9 can't be written into a config: it is not UTF-8; rename it"):
        new_recipe("mine", tmp_path / "lat\udce9", checkout)
    with pytest.raises(UserError, match="grid/conf.* can't be written|grid can't be written"):
        new_recipe("grid", None, Path("/proc"))
    assert sorted(p.name for p in (checkout / "egs").iterdir()) == ["conf", "custom", "stages.sh"]


def test_every_shipped_recipe_is_copied_completely(tmp_path):
    """Side by side in one folder, with what their configs are based on, and nothing of a checkout."""
    (tmp_path / "a sub folder").mkdir()
    for name in reversed(names(shipped())):  # those that others are based on come later, some copied already
        if (tmp_path / "egs" / name).exists():
            with pytest.raises(UserError, match=f"{name} exists already: .*{name}/run.sh runs it"):
                new_recipe(name, None, tmp_path)
            continue
        instructions = new_recipe(name, None, tmp_path / "a sub folder" if (tmp_path / "egs").exists() else tmp_path)
        assert f"{tmp_path}/egs/{name}/run.sh" in instructions and ("--corpus_dir" in instructions) == (name != "mini")
    assert names(tmp_path / "egs") == names(shipped())
    for name in names(shipped()):
        ours, theirs = tmp_path / "egs" / name, shipped() / name
        assert os.access(ours / "run.sh", os.X_OK)
        assert "tools/venv" not in (ours / "README.md").read_text()
        for path in theirs.glob("conf/*.yaml"):
            load_config(ours / "conf" / path.name)
        for path in theirs.glob("card*.yaml"):
            assert read_card(ours / path.name) == read_card(path)
        for link in re.findall(r"\]\(([^)#:]+)(?:#[\w-]+)?\)", (ours / "README.md").read_text()):
            assert (ours / link).exists()


def test_a_new_recipe_outside_of_a_checkout_comes_with_the_template(tmp_path):
    for number in range(3):
        touch(tmp_path / f"videos/{number}.mp4")
    new_recipe("mine", tmp_path / "videos", tmp_path)
    assert names(tmp_path / "egs") == ["custom", "mine"]
    assert load_config(tmp_path / "egs/mine/conf/mel.yaml").corpus.args["corpus_dir"] == str(tmp_path / "videos")
    with pytest.raises(UserError, match="grid is a shipped recipe"):
        new_recipe("grid", tmp_path / "videos", tmp_path)


@pytest.mark.parametrize("name", ["gird", "mine", "lrs4", "librispech"])
def test_a_mistyped_name_is_refused(checkout, tmp_path, name):
    for folder in (checkout, tmp_path / "elsewhere"):
        with pytest.raises(
            UserError, match=f"no shipped recipe '{name}'; did you mean '.*give the --corpus_dir"
        ) as error:
            new_recipe(name, None, folder)
        assert error.value.fields["suggestion"] in names(shipped())
        assert not (folder / "egs" / name).exists()


@pytest.mark.parametrize(("name", "base"), [("my_videos", "custom"), ("vctk", "librispeech")])
def test_a_folder_with_the_name_of_a_base_is_not_changed(tmp_path, name, base):
    touch(tmp_path / "egs" / base / "data_mine/x")
    with pytest.raises(UserError, match=f"egs/{base} exists already and is no recipe.*move it elsewhere"):
        new_recipe(name, None, tmp_path)
    assert [path.name for path in (tmp_path / "egs").rglob("*")] == [base, "data_mine", "x"]


@pytest.mark.parametrize("name", ["mini", "my_videos"])
def test_a_recipe_that_can_not_be_copied_leaves_nothing(checkout, tmp_path, monkeypatch, name):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    egs = tmp_path / "egs" if name == "mini" else checkout / "egs"
    before = names(egs)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="No space left on device"):
        new_recipe(name, None, egs.parent)
    assert names(egs) == before and not (egs / name).exists() and not list(egs.glob(".*"))


def test_another_project_with_an_installer_is_no_checkout(tmp_path):
    touch(tmp_path / "tools/install.sh")
    assert not is_checkout(tmp_path / "egs")
    new_recipe("mini", None, tmp_path)
    assert f"installed={shlex.quote(sys.executable)}\n" in (tmp_path / "egs/stages.sh").read_text()
    command = [str(tmp_path / "egs/mini/run.sh"), "--stage", "3", "--stop_stage", "3"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "stage 1 makes them" in done.stderr, done.stderr


def test_missing_packages_of_a_recipe_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(MODULES, "mini", ("no_such_espeak",))
    assert new_recipe("mini", None, tmp_path).endswith("(no_such_espeak): pip install 'v2skit[mini]'")
    monkeypatch.setitem(MODULES, "tracker", ("no_such_litert",))
    monkeypatch.setitem(MODULES, "d_vector", ("no_such_resemblyzer",))
    monkeypatch.setitem(MODULES, "pesq", ("no_such_pesq",))
    monkeypatch.setitem(MODULES, "neural_voices", ("no_such_kokoro",))
    note = new_recipe("grid", None, tmp_path)
    modules, extras = note.partition("(")[2].split("): pip install ", 1)
    missing = {"no_such_litert", "no_such_resemblyzer", "no_such_pesq", "no_such_kokoro"}
    assert set(modules.split(", ")) == missing
    assert set(extras.partition("[")[2].partition("]")[0].split(",")) == {
        "tracker", "d-vector", "pesq", "neural-voices"
    }  # fmt: skip
    assert "no_such_litert" not in new_recipe("vctk", None, tmp_path)  # audio only


def test_the_recogniser_is_needed_where_a_config_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(MODULES, "evaluate", ("pocketsphinx",))
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "pocketsphinx" else name)
    monkeypatch.setattr(extras, "PYTHON", (3, 14))
    assert "v2skit[evaluate]' && pip install pocketsphinx, which needs" in new_recipe("mini", None, tmp_path)
    assert "pocketsphinx" not in new_recipe("my_videos", None, tmp_path)


def test_a_copied_recipe_finds_the_python_that_has_v2skit(tmp_path):
    """The one that copied it; if that is gone, the one on the path; V2SKIT_PYTHON overrides both."""
    new_recipe("mini", None, tmp_path)
    stages, bin = tmp_path / "egs/stages.sh", tmp_path / "bin"
    bin.mkdir()

    def run(**variables: str) -> subprocess.CompletedProcess:
        kept = {k: v for k, v in os.environ.items() if k != "V2SKIT_PYTHON"}
        environment = {**kept, "PATH": f"{bin}:/usr/bin:/bin", "PYTHONPATH": str(ROOT), **variables}
        command = [str(tmp_path / "egs/mini/run.sh"), "--stage", "3", "--stop_stage", "3"]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    assert f"installed={shlex.quote(sys.executable)}\n" in stages.read_text()
    assert "stage 1 makes them" in run().stderr
    stages.write_text(
        stages.read_text().replace(f"installed={shlex.quote(sys.executable)}", "installed=/no/such/python")
    )
    other = '#!/bin/sh\n[ "$1" = -c ] || echo the other one\n'
    for name in ("python3", "mine"):
        (bin / name).write_text(other.replace("other", name))
        (bin / name).chmod(0o755)
    assert "the python3 one" in run().stdout
    assert "the mine one" in run(V2SKIT_PYTHON=str(bin / "mine")).stdout
    (bin / "python3").write_text("#!/bin/sh\nexit 1\n")
    assert "no Python with v2skit found" in run().stderr
    assert "V2SKIT_PYTHON=/bin/false has no v2skit" in run(V2SKIT_PYTHON="/bin/false").stderr


def test_a_shipped_recipe_uses_the_python_on_the_path(tmp_path):
    """Run from the wheel's folder, or copied by hand: no interpreter is written into it."""
    shutil.copytree(ROOT / "egs/mini/conf", tmp_path / "egs/mini/conf")
    shutil.copytree(ROOT / "egs/conf", tmp_path / "egs/conf")
    shutil.copy(ROOT / "egs/stages.sh", tmp_path / "egs")
    shutil.copy(ROOT / "egs/mini/run.sh", tmp_path / "egs/mini")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python3").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n')
    (tmp_path / "bin/python3").chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if k != "V2SKIT_PYTHON"}
    environment = {**kept, "PATH": f"{tmp_path}/bin:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    command = [str(tmp_path / "egs/mini/run.sh"), "--stage", "3", "--stop_stage", "3"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert "stage 1 makes them" in done.stderr, done.stderr


def test_the_shared_files_of_version_0_1_are_refused(tmp_path):
    (tmp_path / "egs").mkdir()
    (tmp_path / "egs/stages.sh").write_text('"$python" -m v2skit.cli "$name"\n')
    with pytest.raises(UserError, match="version 0.1; move that folder away"):
        new_recipe("mini", None, tmp_path)
    assert [path.name for path in (tmp_path / "egs").iterdir()] == ["stages.sh"]


def test_run_sh_passes_the_permission_to_run_saved_code_on(tmp_path):
    new_recipe("mini", None, tmp_path)
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    for more, count in ((["--trust-plugins"], 1), ([], 0)):
        command = [str(tmp_path / "egs/mini/run.sh"), "--stage", "2", "--stop_stage", "2", *more]
        done = subprocess.run(
            command, env={**os.environ, "V2SKIT_PYTHON": str(python)}, capture_output=True, text=True, check=True
        )
        assert "-m v2skit stage pretrain" in done.stdout and done.stdout.count("--trust-plugins") == count
