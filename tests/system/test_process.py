import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest

from v2skit.system import process

FAULTS = """
import resource, sys
import numpy as np
from v2skit.system.process import keep_memory

if sys.argv[1] == "kept":
    keep_memory()
faults = []
for _ in range(8):
    np.ones(2**23)  # 64 MB, freed at once
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[3])
"""

ORPHANS = """
import os, signal, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from v2skit.system.process import end_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), end_with_parent)
    print(pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run(code, *arguments, **environment):
    clean = {k: v for k, v in os.environ.items() if k not in (*process.WAITING, *process.MALLOC)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, check=True).stdout


def test_the_command_line_sets_it_before_torch_is_imported():
    code = "import os, sys\nfrom v2skit.cli.main import main\nassert 'torch' not in sys.modules\nmain(['plugins'])\n"
    assert process.SPINS in run(code + "print(os.environ['GOMP_SPINCOUNT'])").split()


@pytest.mark.parametrize("name", process.WAITING)
def test_the_users_environment_wins(name):
    code = (
        "import os\nfrom v2skit.system.process import sleep_soon\nsleep_soon()\nprint(os.environ.get('GOMP_SPINCOUNT'))"
    )
    assert run(code, **{name: "7"}).strip() == ("7" if name == "GOMP_SPINCOUNT" else "None")


@pytest.mark.skipif(sys.platform != "linux", reason="mallopt is glibc's")
def test_freed_memory_is_used_again():
    kept, usual = (int(run(FAULTS, how)) for how in ("kept", "usual"))
    assert kept < usual / 10


@pytest.mark.parametrize("name", [None, *process.MALLOC])
def test_the_users_settings_of_memory_win(monkeypatch, name):
    calls = []
    monkeypatch.setattr(
        process.ctypes, "CDLL", lambda library: SimpleNamespace(mallopt=lambda *call: calls.append(call))
    )
    for other in process.MALLOC:
        monkeypatch.delenv(other, raising=False)
    if name:
        monkeypatch.setenv(name, "1")
    process.keep_memory()
    assert bool(calls) == (name is None)


def test_a_worker_ends_with_a_killed_parent(tmp_path):
    (tmp_path / "orphans.py").write_text(ORPHANS)
    command = [sys.executable, str(tmp_path / "orphans.py")]
    done = subprocess.run(command, capture_output=True, timeout=60)  # waits for the worker as well, which has the pipes
    assert done.returncode == -signal.SIGKILL and int(done.stdout) > 0
