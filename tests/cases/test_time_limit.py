"""The time limit of hostile cases ends what hangs, also where it is in C."""

import subprocess
import sys
import time

import pytest

from tests.cases.time_limit import time_limit
from tests.conftest import ROOT

HANGS = """
import time
from tests.cases import time_limit
time_limit.GRACE_SECONDS = 0.1
with time_limit.time_limit(0.1):
    try:
        time.sleep(60)
    finally:
        time.sleep(60)
"""


def test_a_case_that_hangs_fails():
    begin = time.monotonic()
    with pytest.raises(pytest.fail.Exception, match=r"it took more than 0.1 s"), time_limit(0.1):
        time.sleep(20)
    with time_limit(0.1):
        pass
    time.sleep(0.15)
    assert time.monotonic() - begin < 10


def test_a_case_that_never_returns_ends_the_process():
    done = subprocess.run([sys.executable, "-c", HANGS], cwd=ROOT, capture_output=True, text=True, timeout=50)
    assert done.returncode == 1 and "Timeout" in done.stderr and "Thread" in done.stderr
