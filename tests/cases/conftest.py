"""Models and a data directory that the hostile cases share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.model import untrained_run
from tests.conftest import make_data


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def other_run(tmp_path_factory) -> Path:
    return untrained_run(tmp_path_factory.mktemp("other"), speaker={"type": "table", "dim": 8})


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "test"
    make_data(folder, count=2)
    return folder
