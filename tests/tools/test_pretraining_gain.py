import json
import os
import re
import subprocess
import sys

import numpy as np
import yaml

from tests.conftest import ROOT


def make_experiment(folder, seed, share, gain, wrong):
    random = np.random.default_rng(seed)
    (folder / "finetune").mkdir(parents=True)
    config = {"seed": seed, "corpus": {"type": "grid", "train_share": share}}
    (folder / "finetune/config.yaml").write_text(yaml.safe_dump(config))
    for system, more, errors in (("scratch", 0.0, 3), ("pretrained", gain, wrong)):
        (folder / "synth" / system).mkdir(parents=True)
        lines = []
        for clip in range(40):
            edits = {"substitutions": errors, "deletions": 0, "insertions": 0, "words": 6}
            values = {"estoi": 0.2 + more + 0.05 * random.standard_normal(), "wer": errors / 6}
            lines.append(json.dumps({"id": f"clip{clip}", "values": values, "edits": edits}) + "\n")
        (folder / "synth" / system / "scores.jsonl").write_text("".join(lines))
    return folder


def run(*folders):
    command = [sys.executable, ROOT / "tools/pretraining_gain.py", *folders]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_the_difference_of_each_share_has_an_interval_over_seeds_and_clips(tmp_path):
    folders = [make_experiment(tmp_path / f"a{seed}", seed, 0.25, 0.1, 2) for seed in (1, 2, 3)]
    done = run(*folders, make_experiment(tmp_path / "b", 1, 1.0, 0.0, 3))
    assert done.returncode == 0, done.stderr
    quarter, whole = ([cell.strip() for cell in line.strip("| ").split(" | ")] for line in done.stdout.splitlines()[2:])
    assert quarter[:2] == ["25%", "3"] and whole[:2] == ["100%", "1"]
    mean, low, high = map(float, re.findall(r"[+-]?\d+\.\d+", quarter[4]))
    assert 0.05 < low < mean < high < 0.15
    assert [float(cell.split()[0]) for cell in quarter[5:]] == [50.0, 33.3, -16.7]
    assert "[" not in "".join(whole)


def test_unfinished_experiments_are_skipped_and_those_of_the_same_seed_are_named(tmp_path):
    first, second, begun = (make_experiment(tmp_path / name, 1, 0.5, 0.1, 2) for name in ("a", "b", "c"))
    assert "same share and seed" in run(first, second).stderr
    (second / "synth/scratch/scores.jsonl").unlink()
    (begun / "finetune/config.yaml").unlink()
    done = run(first, second, begun)
    assert done.returncode == 0 and done.stdout == run(first).stdout
    assert done.stderr.splitlines() == [
        f"note: {second} has no scores of row scratch; stage 6 makes them, with scratch: true; skipped",
        f"note: {begun} has no finetune/config.yaml; stage 4 makes it; skipped",
    ]


def test_clips_without_a_metric_are_dropped_in_all_experiments(tmp_path):
    folders = [make_experiment(tmp_path / f"a{seed}", seed, 0.5, 0.1, 2) for seed in (1, 2)]

    def edit(change):
        path = folders[0] / "synth/scratch/scores.jsonl"
        first, *others = map(json.loads, path.read_text().splitlines())
        change(first)
        path.write_text("".join(json.dumps(clip) + "\n" for clip in (first, *others)))

    def cells():
        done = run(*folders)
        assert done.returncode == 0, done.stderr
        return [cell.strip() for cell in done.stdout.splitlines()[2].strip("| ").split(" | ")]

    edit(lambda clip: clip["values"].update(estoi=1e6))
    edit(lambda clip: clip["edits"].update(substitutions=600))
    assert [float(cells()[column].split()[0]) > 100 for column in (2, 5)] == [True, True]
    edit(lambda clip: clip.update(values={}, edits=None))
    assert float(cells()[2].split()[0]) < 0.3
    assert [float(cell.split()[0]) for cell in cells()[5:]] == [50.0, 33.3, -16.7]
    for path in folders[0].glob("synth/*/scores.jsonl"):
        path.write_text("".join(line.replace('"estoi"', '"stoi"') for line in path.read_text().splitlines(True)))
    assert cells()[2:5] == ["-"] * 3 and cells()[5].startswith("50.0")
