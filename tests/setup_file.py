"""What setup.py passes to setuptools, without importing that: it can't be imported after the distutils of the standard
library, which some packages import."""

from __future__ import annotations

import runpy
import sys
from types import SimpleNamespace

from tests.conftest import ROOT


def setup_arguments(monkeypatch) -> dict:
    """The arguments of ``setup()``, with no packages."""
    given: dict = {}
    stub = SimpleNamespace(setup=given.update, find_packages=lambda *_, **__: [])
    monkeypatch.setitem(sys.modules, "setuptools", stub)
    runpy.run_path(str(ROOT / "setup.py"))
    return given
