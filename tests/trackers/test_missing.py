"""A tracker whose package is not installed."""

import sys

import pytest

from v2skit import plugins
from v2skit.errors import UserError


def test_a_missing_package_names_the_extra(monkeypatch):
    for name in [m for m in sys.modules if m == "mediapipe" or m.startswith("mediapipe.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(UserError, match=r"pip install 'v2skit\[mediapipe\]'"):
        plugins.registry().entry("tracker", "mediapipe").load()()
