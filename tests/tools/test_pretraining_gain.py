"""The table of what pre-training gains: its rows, intervals, and experiments without a scratch row of their own."""

import json
import re
import runpy
import sys

import numpy as np
import pytest
import yaml

from tests.conftest import ROOT
from v2skit.config.load import load_config, to_tree


@pytest.fixture
def make(tmp_path, tiny):
    """Makes an experiment of 40 test clips, from scratch with an ESTOI of 0.2 and 3 of 6 words wrong."""
    base = to_tree(load_config(tiny))

    def make_experiment(name, seed, train="train_0.25", gain=0.1, wrong=2, digest=None, **changes):
        folder, random = tmp_path / name, np.random.default_rng(seed)
        (folder / "finetune").mkdir(parents=True)
        config = {**base, "seed": seed, "data": {**base["data"], "train": train}, "pretrained": "exp/a2a", **changes}
        (folder / "finetune/config.yaml").write_text(yaml.safe_dump(config))
        if digest:
            (folder / "transfer").mkdir()
            (folder / "transfer/config.yaml").write_text(yaml.safe_dump({"made_from": {"pretrained": digest}}))
        rows = (("scratch", 0.0, 3), ("pretrained", gain, wrong))
        for system, more, errors in rows if config["scratch"] else rows[1:]:
            (folder / "synth" / system).mkdir(parents=True)
            lines = []
            for clip in range(40):
                edits = {"substitutions": errors, "deletions": 0, "insertions": 0, "words": 6}
                values = {"estoi": 0.2 + more + 0.05 * random.standard_normal(), "wer": errors / 6}
                lines.append(json.dumps({"id": f"clip{clip}", "values": values, "edits": edits}) + "\n")
            (folder / "synth" / system / "scores.jsonl").write_text("".join(lines))
        return folder

    make_experiment.steps = lambda steps: {"finetune": {**base["finetune"], "steps": steps}}
    make_experiment.parts = lambda *parts: {"transfer": dict.fromkeys(parts, base["transfer"]["encoder"])}
    return make_experiment


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the tool -> exit status, cells of the table's lines, standard error."""

    def run_tool(*folders):
        monkeypatch.setattr(sys, "argv", ["pretraining_gain", *map(str, folders)])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(ROOT / "tools/pretraining_gain.py"), run_name="__main__")
        out, err = capsys.readouterr()
        lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in out.splitlines()[2:]]
        return ended.value.code, lines, err

    return run_tool


def test_the_difference_of_each_share_has_an_interval_over_seeds_and_clips(make, run):
    folders = [make(f"a{seed}", seed) for seed in (1, 2, 3)]
    status, (quarter, whole), _ = run(make("b", 1, "train", gain=0.0, wrong=3), *folders)
    assert status == 0
    assert quarter[:5] == ["train_0.25", "a2a", "decoder, encoder", "4", "3"]
    assert whole[:5] == ["train", "a2a", "decoder, encoder", "4", "1"]
    mean, low, high = map(float, re.findall(r"[+-]?\d+\.\d+", quarter[7]))
    assert 0.05 < low < mean < high < 0.15
    assert [float(cell.split()[0]) for cell in quarter[8:]] == [50.0, 33.3, -16.7]
    assert "[" not in "".join(whole)


def test_pretrained_models_transferred_parts_and_steps_are_rows_with_the_scratch_row_of_another_experiment(make, run):
    folders = [
        make("gain_1", 1, wrong=2),
        make("more", 1, wrong=1, **make.steps(8)),
        make("neural", 1, wrong=0, scratch=False, pretrained="../other/exp/neural"),
        make("decoder", 1, wrong=4, scratch=False, **make.parts("decoder")),
        make("own", 1, wrong=5, pretrained=None),
        make("seed", 2, scratch=False),
        make("video", 1, "train", scratch=False),
        make("longer", 1, scratch=False, **make.steps(9)),
    ]
    status, lines, err = run(*folders)
    lacking = "has no row scratch, nor has an experiment of the same settings and seed; skipped"
    assert status == 0 and err.splitlines() == [f"note: {folders[n]} {lacking}" for n in (5, 7, 6)]
    assert [line[1:5] for line in lines] == [
        ["a2a", "decoder", "4", "1"],
        ["a2a", "decoder, encoder", "4", "1"],
        ["a2a", "decoder, encoder", "8", "1"],
        ["audio", "decoder, encoder", "4", "1"],
        ["neural", "decoder, encoder", "4", "1"],
    ]
    assert [line[8:10] for line in lines] == [["50.0", wer] for wer in ("66.7", "33.3", "16.7", "83.3", "0.0")]
    assert lines[0][5] == lines[1][5] == lines[4][5], "the scratch row of gain_1"


def test_unfinished_experiments_are_skipped_and_those_of_the_same_seed_are_named(make, run):
    first, second, begun = (make(name, 1) for name in ("a", "b", "c"))
    assert run(first, second)[0] == 1 and f"{first} and {second} have the same seed" in run(first, second)[2]
    (second / "synth/scratch/scores.jsonl").unlink()
    (begun / "finetune/config.yaml").unlink()
    status, lines, err = run(first, second, begun)
    assert status == 0 and lines == run(first)[1]
    assert err.splitlines() == [
        f"note: {second} has no scores of row scratch; stage 6 makes them; skipped",
        f"note: {begun} has no finetune/config.yaml; stage 4 makes it; skipped",
    ]


def test_clips_without_a_metric_are_dropped_in_all_experiments(make, run):
    folders = [make(f"a{seed}", seed) for seed in (1, 2)]

    def edit(change):
        path = folders[0] / "synth/scratch/scores.jsonl"
        first, *others = map(json.loads, path.read_text().splitlines())
        change(first)
        path.write_text("".join(json.dumps(clip) + "\n" for clip in (first, *others)))

    def cells():
        status, (line,), err = run(*folders)
        assert status == 0, err
        return line[5:]

    edit(lambda clip: clip["values"].update(estoi=1e6))
    edit(lambda clip: clip["edits"].update(substitutions=600))
    assert [float(cells()[column].split()[0]) > 100 for column in (0, 3)] == [True, True]
    edit(lambda clip: clip.update(values={}, edits=None))
    assert float(cells()[0].split()[0]) < 0.3
    assert [float(cell.split()[0]) for cell in cells()[3:]] == [50.0, 33.3, -16.7]
    for path in folders[0].glob("synth/*/scores.jsonl"):
        path.write_text("".join(line.replace('"estoi"', '"stoi"') for line in path.read_text().splitlines(True)))
    assert cells()[:3] == ["-"] * 3 and cells()[3].startswith("50.0")


def test_pretrained_models_are_known_by_their_weights(make, run):
    folders = [
        make("a1", 1, pretrained="x/exp/a/pretrain", digest="11112222333"),
        make("a2", 2, pretrained="../x/exp/a/pretrain", digest="11112222333"),
        make("b3", 3, pretrained="y/exp/b/pretrain", digest="4444"),
    ]
    status, lines, err = run(*folders)
    assert status == 0 and not err and [line[1:5:3] for line in lines] == [["a", "2"], ["b", "1"]]
    same = make("c1", 1, pretrained="y/exp/a/pretrain", digest="55556666777")
    names = [line[1] for line in run(*folders, same)[1]]
    assert names == ["a (11112222)", "a (55556666)", "b"]


@pytest.mark.parametrize(
    "change, key",
    [
        (lambda tree: tree["data"].update(folder="data_gpu"), "data.folder"),
        (lambda tree: tree["finetune"].update(learning_rate=0.5), "finetune.learning_rate"),
        (lambda tree: tree["finetune"].update(batch_frames=61), "finetune.batch_frames"),
        (lambda tree: tree["networks"]["encoder"].update(ff_dim=32), "networks.encoder.ff_dim"),
    ],
)
def test_a_scratch_row_of_other_settings_is_not_compared(make, run, change, key):
    scratch, other = make("scratch", 1), make("other", 1, scratch=False)
    path = other / "finetune/config.yaml"
    tree = yaml.safe_load(path.read_text())
    change(tree)
    path.write_text(yaml.safe_dump(tree))
    status, lines, err = run(scratch, other)
    assert status == 0 and len(lines) == 1
    lacking = f"nor has an experiment of the same settings and seed ({scratch} has other {key}); skipped"
    assert f"note: {other} has no row scratch, {lacking}" in err
    assert f"note: {other} has a row of its own: {scratch} has other {key}" in err
