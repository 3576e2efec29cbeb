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
from v2skit.hub.installed import LIVE, OFFLINE

REFUSED = "installed_model.sh: the corpus has no talker s1, whose voice is the model's default; add its clips"
NO_F0 = "installed_model.sh: python has no praat-parselmouth, which shifts the voices; pip install 'v2skit[f0]'"
CONFIGS = [
    *("cpu_audio", "cpu", "cpu_recognition", "cpu_aligned", "cpu_averaged", "cpu_vocoder", "cpu_vocoder_tuned"),
    *("cpu_averaged", "cpu_streaming", "cpu_streaming", "cpu_vocoder_streaming", "cpu_streaming"),
]
OFFLINE_DATA = Path("data_cpu/available")
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
            assert written[options.speech] in (options.directory, OFFLINE_DATA / options.directory.name)
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


def _calls(stdout: str) -> list[list[str]]:
    """The calls of stages and of Python that a run printed."""
    return [line.rstrip("|").split("|") for line in stdout.splitlines() if "|" in line]


def _is_command(call: list[str], name: str) -> bool:
    return call[:3] == ["-m", "v2skit", name]


@pytest.fixture(scope="module")
def calls(tmp_path_factory) -> list[list[str]]:
    """Of a run on a corpus, in the script's order."""
    folder = tmp_path_factory.mktemp("recipe")
    done = _run([_recipe(folder) / "installed_model.sh", "--corpus_dir", "corpus"], folder)
    assert done.returncode == 0, done.stderr
    return _calls(done.stdout)


def test_packages_and_corpus_are_checked_before_the_first_long_stage(calls):
    check = ["--config", "conf/cpu_audio.yaml", "--stop_stage", "0", "--corpus_dir", "corpus"]
    assert calls[:2] == [["run.sh", *check, "--set", "audio_corpus=null"], ["-c", "import parselmouth"]]


def test_the_stages_are_those_of_the_configs_and_no_test_clip_is_trained_on(calls):
    stages = [call for call in calls if call[0] == "run.sh"][1:]
    configs = [call[call.index("--config") + 1] for call in stages]
    assert configs == [f"conf/{name}.yaml" for name in CONFIGS]
    assert all((ROOT / "egs/grid" / config).is_file() for config in configs)
    assert all(call[call.index("corpus") - 1] == "--corpus_dir" for call in stages)
    assert not any(word.endswith("/test") for call in calls for word in call)


def test_each_model_is_trained_on_data_that_are_made_before(calls):
    def stage(name: str, number: str) -> int:
        """The place of the call of a config's stages that ends with a number."""
        wanted = ["run.sh", "--config", f"conf/{name}.yaml"]
        return next(
            n for n, call in enumerate(calls) if call[:3] == wanted and call[call.index("--stop_stage") + 1] == number
        )

    made = [call for call in calls if any(_is_command(call, name) for name in ("synth-data", "data"))]
    for name in ("cpu_aligned", "cpu_vocoder_tuned", "cpu_streaming", "cpu_vocoder_streaming"):
        before = [call for call in made if calls.index(call) < stage(name, "4")]
        assert_makes_the_data_of(before, load_config(ROOT / f"egs/grid/conf/{name}.yaml").data)
    assert stage("cpu_recognition", "4") < calls.index(made[0])  # the speech is that of the trained model
    streaming = [call for call in made if "data_cpu_streaming" in call[4]]
    assert len(streaming) == 3 and stage("cpu_streaming", "1") < calls.index(streaming[0])
    options = [_options(call) for call in made]
    assert all(some.replace for some in options if "replace" in some)
    models = {(str(some.model), some.device, some.trust_plugins) for some in options if "model" in some}
    assert models == {("exp/cpu_recognition", "cuda", False)}
    (averaging,) = [call for call in calls if _is_command(call, "average")]
    assert stage("cpu_aligned", "4") < calls.index(averaging) < stage("cpu_averaged", "4")


def test_the_configs_start_from_what_is_made_before(calls):
    (average,) = [_options(call) for call in calls if _is_command(call, "average")]
    assert (str(average.model), str(average.other)) == ("exp/cpu_aligned", "exp/cpu_recognition")
    trained = []
    for name in CONFIGS:
        config = load_config(ROOT / f"egs/grid/conf/{name}.yaml")
        assert {config.pretrained, config.predictor and str(Path(config.predictor).parent)} <= {None, *trained}
        trained.append(f"exp/{name}")
    for name, init in (("cpu_averaged", str(average.out)), ("cpu_streaming", "exp/cpu_averaged/finetune")):
        assert {part.init for part in load_config(ROOT / f"egs/grid/conf/{name}.yaml").parts.values()} == {init}


def test_the_options_of_the_neural_voices_may_be_given(calls):
    for name in CONFIGS:
        load_config(ROOT / f"egs/grid/conf/{name}.yaml", ["audio_corpus.kokoro_js_dir=voices"])
    (streaming,) = [call for call in calls if "conf/cpu_streaming.yaml" in call and call[4] == "1"]
    assert streaming[-2:] == ["--set", "audio_corpus=null"]  # an hour, which is pre-trained on already


@pytest.mark.parametrize("checkout", [True, False])
def test_models_are_scored_with_the_vocoder_that_is_packed_and_installed_by_the_command_shown(tmp_path, checkout):
    grid = _recipe(tmp_path)
    folder = tmp_path / "v2skit/pretrained"
    if checkout:
        folder.mkdir(parents=True)
        for name in (OFFLINE, LIVE):
            (folder / name).write_text("the installed model")
        (tmp_path / "v2skit/__init__.py").touch()
    done = _run([grid / "installed_model.sh"], tmp_path)
    assert done.returncode == 0, done.stderr
    calls = _calls(done.stdout)
    packs = [call for call in calls if _is_command(call, "pack")]
    for call, name in zip(packs, (OFFLINE, LIVE), strict=True):
        options, scoring = _options(call), calls[calls.index(call) - 1]
        assert scoring[:3] == ["run.sh", "--config", f"conf/{options.model.name}.yaml"] and "--stage|5" in "|".join(
            scoring
        )
        assert f"run: {options.vocoder}}}" in " ".join(scoring)
        assert (options.precision, options.default_voice) == ("int8", "s1")
        assert all((ROOT / "egs/grid" / card).is_file() for card in options.card)
        assert (grid / options.out).resolve() == grid / name
    copies = [line.partition(" model: ")[2] for line in done.stdout.splitlines() if line.startswith("to install it")]
    assert len(copies) == (2 if checkout else 0)
    for name, copy in zip((OFFLINE, LIVE), copies, strict=False):
        assert (folder / name).read_text() == "the installed model"
        (grid / name).write_text("this one")
        subprocess.run(copy, shell=True, check=True)
        assert (folder / name).read_text() == "this one"


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
    calls = [call for call in _calls(done.stdout) if _is_command(call, "synth-data")]
    assert len(calls) == 2 and all(_options(call).trust_plugins for call in calls)
