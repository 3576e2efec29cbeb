"""Tiny models as ONNX files, exported once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.model import untrained_run
from tests.conftest import ISTFT
from v2skit.cli.main import main

NEEDED = ("onnx", "onnxruntime", "onnxscript")
MISSING = "the extra onnx is not installed: pip install 'v2skit[onnx]'"


@pytest.fixture(scope="session")
def onnx():
    """The extra, else the test is skipped."""
    for name in NEEDED:
        pytest.importorskip(name, reason=MISSING)
    return pytest.importorskip("onnx")


@pytest.fixture(scope="session")
def exported(onnx, tmp_path_factory) -> tuple[Path, Path]:
    """A run of a tiny model whose output is the waveform, and its ONNX file."""
    folder = tmp_path_factory.mktemp("exported")
    run, file = untrained_run(folder, decoder=ISTFT), folder / "tiny.onnx"
    assert main(["export", str(run), "-o", str(file)]) == 0
    return run, file
