"""``v2skit new-recipe``: what it writes runs at once."""

import os
import shutil

import pytest

from tests.conftest import ROOT
from tests.miniatures import clip, prepared, register, run_recipe, touch
from v2skit.config import load_config
from v2skit.errors import UserError
from v2skit.new_recipe import new_recipe


@pytest.fixture
def checkout(tmp_path):
    """The recipes, in a folder where they may write."""
    ignore = shutil.ignore_patterns("corpus", "data", "exp")
    for name in ("conf", "custom"):
        shutil.copytree(ROOT / "egs" / name, tmp_path / "checkout/egs" / name, ignore=ignore)
    shutil.copy(ROOT / "egs/stages.sh", tmp_path / "checkout/egs")
    register("custom", "v2skit.corpora.custom:Custom")
    return tmp_path / "checkout"


def test_it_runs_at_once(checkout, tmp_path):
    for number in range(5):
        clip(tmp_path / f"my 'own' videos/anna/{number}.mp4", f"word {number}")
    said = new_recipe("mine", tmp_path / "my 'own' videos", checkout / "egs/conf")
    recipe = checkout / "egs/mine"
    assert said.startswith(f"videos in {tmp_path}/my 'own' videos: 5 of 1 speakers")
    assert f"{recipe}/run.sh runs it" in said
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
    for name in ("", "my recipe", "../mine", "-mine", "a/b"):
        with pytest.raises(UserError, match="is no name for a recipe"):
            new_recipe(name, None, checkout)
    with pytest.raises(UserError, match="is there already"):
        new_recipe("custom", None, checkout)
    with pytest.raises(UserError, match="is not a folder"):
        new_recipe("mine", tmp_path / "nowhere", checkout)
    with pytest.raises(UserError, match="not in a checkout"):
        new_recipe("mine", None, tmp_path)
    assert sorted(p.name for p in (checkout / "egs").iterdir()) == ["conf", "custom", "stages.sh"]
