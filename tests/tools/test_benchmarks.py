"""What all benchmarks have in common: bad input is refused in one sentence."""

from __future__ import annotations

import os
import re
import runpy
import sys

import pytest

from tests.conftest import ROOT

BENCHMARKS = sorted((ROOT / "tools").glob("benchmark_*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_errors_of_the_user_are_one_sentence(path):
    text = path.read_text(encoding="utf-8")
    assert text.endswith(f'if __name__ == "__main__":\n    sys.exit(status_of(main, "{path.stem}"))\n')
    assert set(re.findall(r'add_argument\("(\S+)", type=(?:int|float)\b', text)) <= {"--neighbours"}


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("benchmark_scoring", ["nowhere"], "nowhere is not a prepared data directory"),
        ("benchmark_scoring", ["nowhere", "--clips", "0"], "argument --clips: 0 is no whole number from 1"),
        ("benchmark_scoring", ["nowhere", "--seconds", "x"], "argument --seconds: x is no number above 0"),
        ("benchmark_generators", ["--run", "nowhere"], "nowhere does not exist"),
        ("benchmark_onnx", ["--model", "nowhere"], "nowhere does not exist"),
        ("benchmark_storage", ["--sound_dir", "nowhere"], "no .flac or .wav under nowhere"),
        ("benchmark_synth", ["--video", "nowhere.mp4"], "nowhere.mp4"),
        ("gpu_hours", ["nowhere.yaml"], "config nowhere.yaml can't be read"),
    ],
)
def test_bad_input_is_named(name, arguments, message, monkeypatch, capsys):
    path = ROOT / "tools" / f"{name}.py"
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setattr(sys, "argv", [str(path), *arguments])
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)  # the cores are those of the tests
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    error = capsys.readouterr().err.splitlines()[-1]
    assert ended.value.code in (1, 2) and message in error and error.startswith(f"{name}"), error
