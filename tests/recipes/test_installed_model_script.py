"""egs/grid/installed_model.sh: its calls of the recipe, and the pack of what they make."""

import shutil
import subprocess

from tests.conftest import ROOT
from v2skit.cli.main import _parser

STUB = 'printf "%s|" run.sh "$@"; echo\n'


def test_the_vocoder_that_it_trains_is_scored_and_packed(tmp_path):
    grid = tmp_path / "egs/grid"
    grid.mkdir(parents=True)
    shutil.copy(ROOT / "egs/grid/installed_model.sh", grid)
    (grid / "run.sh").write_text(f"#!/usr/bin/env bash\n{STUB}")
    (grid / "run.sh").chmod(0o755)
    (tmp_path / "egs/stages.sh").write_text(
        f'{STUB}python=python_of_stages\npython_of_stages() {{ printf "%s|" "$@"; }}\n'
    )
    command = [grid / "installed_model.sh", "--corpus_dir", "corpus"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    *stages, pack = (line.rstrip("|").split("|") for line in done.stdout.splitlines())
    configs = [call[call.index("--config") + 1] for call in stages]
    names = ("cpu_audio", "cpu", "cpu_recognition", "cpu_vocoder", "cpu_vocoder_tuned", "cpu_recognition")
    assert configs == [f"conf/{name}.yaml" for name in names]
    assert all((ROOT / "egs/grid" / config).is_file() for config in configs)
    assert all(call[-2:] == ["--corpus_dir", "corpus"] for call in stages)
    options = _parser().parse_args(pack[pack.index("pack") :])
    assert f"run: {options.vocoder}}}" in " ".join(stages[-1]) and options.half
    assert (ROOT / "egs/grid" / options.card).is_file()
