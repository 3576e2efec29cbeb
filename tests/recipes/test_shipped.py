"""The recipes as a user runs them: all stages of a reduced mini recipe; options; and the scripts' form."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import soundfile

from tests.conftest import ROOT
from v2skit.data.data_dir import read_manifest

ROWS = ("ground_truth", "copy_synthesis", "scratch", "pretrained")

CUT_DOWN = [
    "corpus.utterances=12", "corpus.audio_utterances=8",
    "vocoder.iterations=4", "vocoder.fit_iterations=4", "scoring.bootstrap=200",
    *(f"{stage}.{value}"
      for stage in ("pretrain", "finetune") for value in ("steps=3", "batch_frames=100", "workers=0")),
]  # fmt: skip


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """The recipes, with this checkout's tools and package, in a writable folder."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("tools", "v2skit", "setup.py"):
        (folder / name).symlink_to(ROOT / name)
    made = shutil.ignore_patterns("corpus", "data", "exp")
    shutil.copytree(ROOT / "egs", folder / "egs", ignore=made)
    return folder


def run(checkout: Path, recipe: str, *options: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    environment = {**os.environ, "V2SKIT_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    command = [str(checkout / "egs" / recipe / "run.sh"), *options]
    return subprocess.run(command, env=environment, cwd=cwd or checkout, capture_output=True, text=True)


def test_mini_recipe_from_nothing_to_the_table(checkout):
    sets = [x for value in CUT_DOWN for x in ("--set", value)]
    result = run(checkout, "mini", *sets)
    assert result.returncode == 0, result.stderr
    for number, name in enumerate(("obtain", "prepare", "pretrain", "transfer", "finetune", "synth", "score")):
        assert f"=== stage {number}: {name}" in result.stdout
        assert f"stage {number} took" in result.stdout
    exp = checkout / "egs/mini/exp/mel"
    results = json.loads((exp / "results.json").read_text())
    assert tuple(results["rows"]) == ROWS
    utterances = read_manifest(checkout / "egs/mini/data/test")
    for row in ROWS:
        for name in ("stoi", "estoi", "pesq_wb", "pesq_nb", "mcd", "wer"):
            score = results["rows"][row][name]
            assert score["n"] + score["failed"] == len(utterances), (row, name)
            assert score["n"] == 0 or score["low"] <= score["mean"] <= score["high"]
    assert results["rows"]["ground_truth"]["estoi"]["mean"] == pytest.approx(1, abs=1e-3)
    assert results["rows"]["copy_synthesis"]["estoi"]["mean"] > results["rows"]["pretrained"]["estoi"]["mean"]
    for u in utterances:
        assert soundfile.info(exp / "synth/pretrained" / f"{u.id}.wav").frames == u.frames * 960
    table = (exp / "results.md").read_text()
    assert all(row in table for row in ("ground truth", "copy synthesis", "from scratch", "pre-trained"))
    ledger = json.loads((exp / "transfer/ledger.json").read_text())
    assert ledger["shares"]["decoder"] == ledger["shares"]["encoder"] == 1.0
    # A second run skips all stages, and writes the same table where it was deleted.
    (exp / "results.md").unlink()
    again = run(checkout, "mini", *sets)
    assert again.returncode == 0 and "finetune is finished, skipped" in again.stdout
    assert (exp / "results.md").read_text() == table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stagee", "3"], "unknown option --stagee; --help lists the options"),
        (["--stage", "9"], "there is no stage '9'"),
        (["--stage"], "--stage needs a value"),
        (["--config", "conf/none.yaml"], "no config conf/none.yaml"),
        (["--stage", "3", "--exp", "exp/new"], "has no checkpoint; stage 2 makes it"),
        (["--set", "finetune.stpes=3"], "did you mean 'steps'?"),
        (["--corpus_dir", "nowhere"], "unexpected argument 'corpus_dir'"),
    ],
)
def test_wrong_options_are_refused(checkout, options, message):
    result = run(checkout, "mini", *options)
    assert result.returncode != 0 and message in result.stderr and "Traceback" not in result.stderr


def test_help_lists_every_option(checkout):
    text = run(checkout, "mini", "--help").stdout
    options = ("stage", "stop_stage", "config", "exp", "corpus_dir", "set", "device", "force", "help")
    assert all(f"--{name}" in text for name in options)


def test_grid_names_a_missing_corpus(checkout):
    for options in ([], ["--corpus_dir", "nowhere"]):
        result = run(checkout, "grid", *options)
        assert result.returncode == 1 and "--corpus_dir" in result.stderr and "Traceback" not in result.stderr
    assert str(checkout / "nowhere") in result.stderr


def test_recipes_are_thin_and_scripts_clean():
    scripts = [*ROOT.glob("egs/**/*.sh"), *ROOT.glob("tools/*.sh"), ROOT / ".ci/run"]
    for script in ROOT.glob("egs/*/run.sh"):
        assert len(script.read_text().splitlines()) <= 12, f"{script} has more than its few lines"
    shellcheck = shutil.which("shellcheck", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed; pip install 'v2skit[lint]'")
    found = subprocess.run([shellcheck, "-x", *map(str, scripts)], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


def test_no_file_is_over_400_lines():
    files = [p for folder in ("v2skit", "tests", "plugins", "egs") for p in (ROOT / folder).rglob("*.py")]
    files += [*ROOT.glob("tools/*.py"), *ROOT.glob("tools/*.sh"), *ROOT.glob("egs/**/*.sh")]
    long = [str(p) for p in files if len(p.read_text().splitlines()) > 400]
    assert files and not long
