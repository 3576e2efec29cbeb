"""egs/grid/installed_model.sh: its calls of the recipe, and the pack of what they make."""

import os
import shutil
import subprocess
from argparse import Namespace
from pathlib import Path

import pytest

from tests.conftest import ROOT
from v2skit.cli.main import _parser
from v2skit.config.load import load_config
from v2skit.config.schema import Data

REFUSED = "installed_model.sh: the corpus has no talker s1, whose voice is the model's default; add its clips"
NO_F0 = "installed_model.sh: python has no praat-parselmouth, which shifts the voices; pip install 'v2skit[f0]'"
STUB = """printf "%s|" run.sh "$@"; echo
[ "$called_from" = "$CALLED_FROM" ] || { echo "called from $called_from" >&2; exit 1; }
python=python device=cuda trust=${TRUST:-false}
python() { [ "$1" = -c ] && [ -n "${NO_MODULE:-}" ] && return 1; printf "%s|" "$@"; echo; }
"""
"""In place of stages.sh: prints the calls of it and of Python, and has its variables."""


def _options(call: list[str]) -> Namespace:
    """Of a call of v2skit."""
    assert call[:2] == ["-m", "v2skit"]
    return _parser().parse_args(call[2:])


def assert_makes_the_data_of(calls: list[list[str]], data: Data) -> None:
    """The calls write the data directories that a config names, each from what an earlier call has written."""
    written = {}
    for options in map(_options, calls):
        if "speech" in options:  # data align
            assert written[options.speech] == options.directory
            written[Path(f"{options.directory}_aligned")] = options.directory
        elif "pitch" in options:
            assert options.directory in written
            written[Path(f"{options.directory}_voices")] = options.directory
        else:
            written[options.out] = options.data_dir
    assert {Path(data.folder, name) for name in (data.train, data.valid)} <= set(written)


def _recipe(folder: Path) -> Path:
    """The recipe's folder, with the script, and a stub of the stages."""
    grid = folder / "egs/grid"
    grid.mkdir(parents=True)
    shutil.copy(ROOT / "egs/grid/installed_model.sh", grid)
    (folder / "egs/stages.sh").write_text(STUB)
    return grid


def _run(command: list, folder: Path, **variables: str) -> subprocess.CompletedProcess:
    """The command, called from a folder."""
    environment = {**os.environ, "CALLED_FROM": str(folder), **variables}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("checkout", [True, False])
def test_the_vocoder_that_it_trains_is_scored_and_packed(tmp_path, checkout):
    grid = _recipe(tmp_path)
    installed = tmp_path / "v2skit/pretrained/grid.v2s"
    if checkout:
        installed.parent.mkdir(parents=True)
        installed.write_text("the installed model")
        (tmp_path / "v2skit/__init__.py").touch()
    command = [grid / "installed_model.sh", "--corpus_dir", "corpus"]
    done = _run(command, tmp_path)
    assert done.returncode == 0, done.stderr
    calls = [line.rstrip("|").split("|") for line in done.stdout.splitlines() if "|" in line]
    assert calls.pop(1) == ["-c", "import parselmouth"]
    check = ["--config", "conf/cpu_audio.yaml", "--stop_stage", "0", "--corpus_dir", "corpus"]
    assert calls.pop(0) == ["run.sh", *check, "--set", "audio_corpus=null"]
    assert not any(word.endswith("/test") for call in calls for word in call)
    stages, commands = ([call for call in calls if (call[0] == "run.sh") == is_stage] for is_stage in (True, False))
    configs = [call[call.index("--config") + 1] for call in stages]
    names = "cpu_audio cpu cpu_recognition cpu_aligned cpu_averaged cpu_vocoder cpu_vocoder_tuned cpu_averaged".split()
    assert configs == [f"conf/{name}.yaml" for name in names]
    *derived, averaging, _ = commands
    average = _options(averaging)
    parts = load_config(ROOT / "egs/grid/conf/cpu_averaged.yaml").parts
    assert {part.init for part in parts.values()} == {str(average.out)}
    assert (str(average.model), str(average.other)) == ("exp/cpu_aligned", "exp/cpu_recognition")
    assert calls.index(stages[3]) < calls.index(averaging) < calls.index(stages[4])
    for name in ("cpu_aligned", "cpu_vocoder_tuned"):
        assert_makes_the_data_of(derived, load_config(ROOT / f"egs/grid/conf/{name}.yaml").data)
    order = [calls.index(call) for call in (stages[2], *derived, stages[3])]
    assert order == sorted(order)  # after the training of the model, before that on what is made with it
    assert stages[2][stages[2].index("--stop_stage") + 1] == "4"
    made = [_options(call) for call in derived]
    assert all(options.replace for options in made if "replace" in options)
    synthesis = [options for options in made if "model" in options]
    assert {(str(some.model), some.device, some.trust_plugins) for some in synthesis} == {
        ("exp/cpu_recognition", "cuda", False)
    }
    assert all((ROOT / "egs/grid" / config).is_file() for config in configs)
    assert all(call[-2:] == ["--corpus_dir", "corpus"] for call in stages)
    options = _options(commands[-1])
    assert f"run: {options.vocoder}}}" in " ".join(stages[-1]) and options.precision == "int8"
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
    grid, corpus = _recipe(tmp_path), tmp_path / "the corpus"
    if talker:
        (corpus / talker).mkdir(parents=True)
    command = [grid / "installed_model.sh", "--device", "cpu", "--corpus_dir", corpus.name, "--nj", "1"]
    done = _run(command, tmp_path)
    assert done.returncode == status and ("run.sh" in done.stdout) == (status == 0)
    assert done.stderr.splitlines() == [REFUSED] * (status == 2)


def test_a_missing_package_is_named_before_the_first_long_stage(tmp_path):
    grid = _recipe(tmp_path)
    done = _run([grid / "installed_model.sh"], tmp_path, NO_MODULE="parselmouth")
    assert done.returncode == 2 and done.stderr.splitlines() == [NO_F0]
    assert done.stdout == "run.sh|--config|conf/cpu_audio.yaml|--stop_stage|0|--set|audio_corpus=null|\n"


def test_the_code_of_plugins_is_trusted_where_asked_for(tmp_path):
    grid = _recipe(tmp_path)
    done = _run([grid / "installed_model.sh"], tmp_path, TRUST="true")
    assert done.returncode == 0, done.stderr
    calls = [line.rstrip("|").split("|") for line in done.stdout.splitlines() if "synth-data" in line]
    assert len(calls) == 2 and all(_options(call).trust_plugins for call in calls)
