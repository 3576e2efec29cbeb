"""egs/grid/pretraining_gain.sh: the shares that it makes are those that its experiments are trained on."""

import shutil
import subprocess

from tests.conftest import ROOT
from v2skit.cli.main import _parser


def test_each_share_is_written_and_trained_on_with_each_seed(tmp_path):
    (tmp_path / "egs/grid").mkdir(parents=True)
    shutil.copy(ROOT / "egs/grid/pretraining_gain.sh", tmp_path / "egs/grid")
    stub = 'show() { printf "%s|" "$@"; echo; }\npython=show\nshow run.sh "$@"\n'
    (tmp_path / "egs/stages.sh").write_text(stub)
    command = [tmp_path / "egs/grid/pretraining_gain.sh", "--corpus_dir", "corpus"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    lines = [line.rstrip("|").split("|") for line in done.stdout.splitlines() if not line.startswith("===")]
    first, runs = lines[0], [line for line in lines[1:] if line[0] == "run.sh"]
    assert first[1:] == [*command[1:], "--config", "conf/gain.yaml", "--stage", "2", "--stop_stage", "2"]
    subsets = [_parser().parse_args(line[2:]) for line in lines[1:] if line[0] == "-m"]
    assert len(subsets) + len(runs) + 1 == len(lines)
    assert {str(subset.directory) for subset in subsets} == {"data_cpu/available/train"}
    shares = {"1.0": "available/train", **{f"{s.share:g}": f"available/train_{s.share:g}" for s in subsets}}
    expected = {
        (f"exp/gain_{share}_{seed}", f"seed={seed}", f"data.train={directory}")
        for share, directory in shares.items()
        for seed in (1, 2, 3)
    }
    assert len(runs) == 12 and {(run[4], run[8], run[10]) for run in runs} == expected
    assert all(run[1:4] == ["--config", "conf/gain.yaml", "--exp"] and run[5:7] == ["--stage", "3"] for run in runs)
    assert all(run[-2:] == command[1:] for run in runs)
