"""A missing package is an error of one sentence with the extra that installs it."""

import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.conftest import ROOT, stages
from v2skit.errors import UserError
from v2skit.evaluation.asr import PocketSphinx
from v2skit.registry.registry import Registry
from v2skit.system import extras
from v2skit.system.extras import APART, MODULES, absent, missing, needs, remedy
from v2skit.tracking.mediapipe import MediaPipe


def test_the_error_carries_the_extra_and_names_the_command():
    wanted = r"a page needs .*no_such.*; .*pip install 'v2skit\[serve\]', or ask another$"
    with pytest.raises(UserError, match=wanted) as error, needs("serve", "a page", "ask another"):
        import_module("no_such_module")
    assert error.value.fields == {"extra": "serve", "module": "no_such_module"}
    assert pickle.loads(pickle.dumps(error.value)).fields == error.value.fields
    assert remedy("train", "evaluate") == "pip install 'v2skit[train,evaluate]'"
    assert remedy("d_vector").startswith("pip install 'v2skit[d-vector]' && ")  # as the wheel's metadata has it
    assert all(remedy(extra).endswith(f" && {command}") for extra, command in APART.items())


def test_every_command_can_be_pasted():
    for command in [remedy(extra) for extra in MODULES] + [remedy(*MODULES)]:
        found = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True)
        assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    ("python", "remedies"),
    [
        ((3, 12), {"mediapipe": "pip install 'v2skit[mediapipe]' && ", "evaluate": "[evaluate]', or drop it"}),
        ((3, 13), {"mediapipe": "); take tracker 'face_mesh'", "evaluate": "[evaluate]', or drop it"}),
        (
            (3, 14),
            {"mediapipe": "); take tracker 'face_mesh'", "evaluate": "pip install pocketsphinx, which needs a C"},
        ),
    ],
)
def test_a_remedy_is_one_for_this_python(monkeypatch, python, remedies):
    monkeypatch.setattr(extras, "PYTHON", python)
    for module in ("mediapipe.python.solutions.face_mesh", "mediapipe.python.solutions", "mediapipe", "pocketsphinx"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError) as tracker:
        MediaPipe()
    with pytest.raises(UserError) as recogniser:
        PocketSphinx()
    assert remedies["mediapipe"] in str(tracker.value) and ("pip install" in str(tracker.value)) == (python < (3, 13))
    assert remedies["evaluate"] in str(recogniser.value) and "--set scoring.asr=null" in str(recogniser.value)
    assert "pocketsphinx" not in remedy("evaluate", modules=["pystoi"])


def test_an_import_error_within_v2skit_is_no_missing_package():
    with pytest.raises(ImportError) as error, needs("train", "training"):
        from v2skit.errors import no_such_name

        no_such_name()
    assert missing(error.value, "it") is None
    assert missing(ModuleNotFoundError("no a_plugins_own", name="a_plugins_own"), "it") is None


def test_a_component_without_its_package_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "needy.py").write_text("import pocketsphinx.decoder\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    registry = Registry()
    registry.add("asr", "needy", "needy:Needy", "a plug-in")
    with pytest.raises(UserError, match=r"asr 'needy' \(from a plug-in\) can't be loaded: .*'v2skit\[evaluate\]'"):
        registry.entry("asr", "needy").load()


@pytest.mark.parametrize(("module", "needy"), [("tensorboard", "logger 'tensorboard'"), ("matplotlib", "training")])
def test_training_without_its_packages_fails_before_it_begins(module, needy, recipe_folder, tiny, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    ours = ("v2skit.training.trainer", "v2skit.training.log", "v2skit.training.samples", "v2skit.evaluation.plots")
    for name in (*ours, "torch.utils.tensorboard"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    assert stages(recipe_folder, tiny, "pretrain") == 1
    message = capsys.readouterr().err
    assert f"{needy} needs a package" in message and "pip install 'v2skit[train]'" in message
    assert not (recipe_folder / "exp/tiny/pretrain").exists()


def test_a_command_without_a_package_gives_a_sentence(tmp_path):
    """Where nothing on the way has named the extra, the command line does."""
    code = "import sys; sys.modules['scipy'] = None; from v2skit.cli import main as cli, plugins\n"
    code += "plugins.run = lambda options: __import__('scipy.signal')\nsys.exit(cli.main(['plugins']))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 1 and "this command needs a package" in found.stderr
    assert "pip install 'v2skit[evaluate]'" in found.stderr or "pip install 'v2skit[train]'" in found.stderr
    assert "Traceback" not in found.stderr


def test_absent_modules_are_listed_by_extra(monkeypatch):
    monkeypatch.setitem(MODULES, "stream", ("sys", "no_such_module"))
    assert absent(["stream"]) == {"stream": ["no_such_module"]}


@pytest.mark.parametrize("own", [True, False])
def test_the_command_is_that_of_this_interpreter(own, monkeypatch, tmp_path):
    """An environment that is not activated is not the one of the command pip."""
    pip = (Path(sys.executable).parent if own else tmp_path) / "pip"
    monkeypatch.setattr("shutil.which", lambda name: str(pip))
    with pytest.raises(UserError) as error, needs("stream", "it"):
        import_module("no_such_module")
    assert str(error.value).endswith("pip install 'v2skit[stream]'")
    assert (f"{sys.executable} -m pip" in str(error.value)) is not own
