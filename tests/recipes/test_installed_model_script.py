"""egs/grid/installed_model.sh: its calls of the recipe, and the pack of what they make."""

import shutil
import subprocess

import pytest

from tests.conftest import ROOT
from v2skit.cli.main import _parser

REFUSED = "installed_model.sh: the corpus has no talker s1, whose voice is the model's default; add its clips"
STUB = 'printf "%s|" run.sh "$@"; echo\n'


@pytest.mark.parametrize("checkout", [True, False])
def test_the_vocoder_that_it_trains_is_scored_and_packed(tmp_path, checkout):
    grid = tmp_path / "egs/grid"
    grid.mkdir(parents=True)
    shutil.copy(ROOT / "egs/grid/installed_model.sh", grid)
    (grid / "run.sh").write_text(f"#!/usr/bin/env bash\n{STUB}")
    (grid / "run.sh").chmod(0o755)
    installed = tmp_path / "v2skit/pretrained/grid.v2s"
    if checkout:
        installed.parent.mkdir(parents=True)
        installed.write_text("the installed model")
        (tmp_path / "v2skit/__init__.py").touch()
    (tmp_path / "egs/stages.sh").write_text(
        f'{STUB}python=python_of_stages\npython_of_stages() {{ printf "%s|" "$@"; echo; }}\n'
    )
    command = [grid / "installed_model.sh", "--corpus_dir", "corpus"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    *stages, pack = (line.rstrip("|").split("|") for line in done.stdout.splitlines() if "|" in line)
    configs = [call[call.index("--config") + 1] for call in stages]
    names = ("cpu_audio", "cpu", "cpu_recognition", "cpu_vocoder", "cpu_vocoder_tuned", "cpu_recognition")
    assert configs == [f"conf/{name}.yaml" for name in names]
    assert all((ROOT / "egs/grid" / config).is_file() for config in configs)
    assert all(call[-2:] == ["--corpus_dir", "corpus"] for call in stages)
    options = _parser().parse_args(pack[pack.index("pack") :])
    assert f"run: {options.vocoder}}}" in " ".join(stages[-1]) and options.half
    assert all((ROOT / "egs/grid" / card).is_file() for card in options.card)
    assert (grid / options.out).resolve() == grid / "grid.v2s"
    _, found, copy = done.stdout.partition("to install it in place of v2skit's model: ")
    assert bool(found) == checkout
    if checkout:
        assert installed.read_text() == "the installed model"
        (grid / "grid.v2s").write_text("this one")
        subprocess.run(copy, shell=True, check=True)
        assert installed.read_text() == "this one"
    assert options.default_voice == "s1"


@pytest.mark.parametrize(
    ("talker", "status"),
    [("s2", 2), ("s1", 0), ("video/s1", 0), (None, 0)],
    ids=["other", "flat", "video", "no folder"],
)
def test_a_corpus_without_the_talker_of_the_default_voice_is_refused_before_the_first_stage(tmp_path, talker, status):
    grid, corpus = tmp_path / "egs/grid", tmp_path / "the corpus"
    grid.mkdir(parents=True)
    shutil.copy(ROOT / "egs/grid/installed_model.sh", grid)
    (grid / "run.sh").write_text(f"#!/usr/bin/env bash\n{STUB}")
    (grid / "run.sh").chmod(0o755)
    (tmp_path / "egs/stages.sh").write_text("python=true\n")
    if talker:
        (corpus / talker).mkdir(parents=True)
    command = [grid / "installed_model.sh", "--device", "cpu", "--corpus_dir", corpus.name, "--nj", "1"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status and ("run.sh" in done.stdout) == (status == 0)
    assert done.stderr.splitlines() == [REFUSED] * (status == 2)
