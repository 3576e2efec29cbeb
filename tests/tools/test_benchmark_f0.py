"""The benchmark of F0 extractors, on short signals."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import ROOT


def test_praat_follows_the_signals_and_what_is_not_installed_is_named(tmp_path):
    parselmouth = pytest.importorskip("parselmouth", reason="praat-parselmouth is not installed")
    hidden = """
        import importlib.util as util
        find = util.find_spec
        others = ("pyworld", "swift_f0", "librosa", "torchaudio")
        util.find_spec = lambda name, *rest: None if name in others else find(name, *rest)
    """
    (tmp_path / "sitecustomize.py").write_text(textwrap.dedent(hidden))
    command = [sys.executable, ROOT / "tools" / "benchmark_f0.py", "--seconds=3"]
    places = (str(tmp_path), str(ROOT), str(Path(parselmouth.__file__).parent))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(places)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[1:]}
    left_out = [name for name, row in rows.items() if row[1:] == ["is", "not", "installed"]]
    assert left_out == ["harvest", "dio", "swift_f0", "pyin", "torchaudio"]
    _, voicing, gross, cents = (tuple(map(float, cell.split("-"))) for cell in rows["praat"])
    assert voicing[1] < 6 and gross[1] < 1 and cents[1] < 6
