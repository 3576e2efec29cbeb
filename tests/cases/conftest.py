"""A time limit for each hostile case, and the models and the data directory that they share."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cases.model import untrained_run
from tests.cases.time_limit import CASE_SECONDS, time_limit
from tests.conftest import make_data


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    with time_limit(CASE_SECONDS):
        return (yield)


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
