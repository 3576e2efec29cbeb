"""A killed or interrupted run resumes exactly: the same losses, bit for bit, as the uninterrupted one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT, make_d_vectors
from v2skit.models import checkpoint

SETS = ["steps=12", "checkpoint_every=3", "validate_every=6", "accumulate=2", "workers=1"]


DISCRIMINATORS = (
    "{waveform: {type: waveform, channels: 2, layers: 3}, power: {type: power, channels: [2, 2], blocks: 1}}"
)
OBJECTIVE = "objective: wasserstein, gradient_penalty: 10, discriminator_steps: 2"
ADVERSARIAL = f"{{type: adversarial, weight: 1, {OBJECTIVE}, discriminators: {DISCRIMINATORS}}}"
FAMILIES = {
    "mel": ["pretrain.best_checkpoint_metric=l1", "finetune.best_checkpoint_metric=l1"],
    "raw": [
        "networks.decoder={type: wavegan, channels: 16}", "losses.l1=null", "losses.spectral_convergence=null",
        "losses.power={type: power, weight: 1}", f"losses.adversarial={ADVERSARIAL}",
    ],
    "thawing": [
        "parts={encoder: {frozen: all, frozen_steps: 7}, decoder: {frozen: weights, frozen_steps: 2}}",
        "networks.speaker={type: d_vector, dropout: 0.5}",
        "pretrain.corruption={time_share: 0.3, band_share: 0.2, snr_db: [0, 20], bottleneck_dim: 3}",
    ],
}  # fmt: skip


def start(folder: Path, config: Path, stage: str, exp: str, family: str) -> subprocess.Popen:
    sets = [x for value in SETS for x in ("--set", f"{stage}.{value}")]
    sets += [x for value in FAMILIES[family] for x in ("--set", value)]
    command = [sys.executable, "-m", "v2skit", "stage", stage, "--config", str(config), "--work_dir", str(folder)]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "OMP_NUM_THREADS": "1",
    }
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([*command, "--exp", str(folder / exp), *sets], env=environment, text=True, **pipes)


def losses(run: Path) -> list[tuple]:
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [tuple(v for k, v in r.items() if k not in ("seconds_per_step", "waiting_share")) for r in rows]


def wait_for(process: subprocess.Popen, run: Path, text: str) -> None:
    log = run / "log.jsonl"
    while not (log.exists() and text in log.read_text()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("number", "family"),
    [(signal.SIGKILL, "mel"), (signal.SIGINT, "mel"), (signal.SIGKILL, "raw"), (signal.SIGKILL, "thawing")],
    ids=["killed", "Ctrl-C", "killed, with discriminators", "killed, with frozen parts and corrupted inputs"],
)
def test_resume_is_exact(recipe_folder, tiny, number, family):
    for name in ("audio", "valid"):
        make_d_vectors(recipe_folder / "data" / name)
    whole = start(recipe_folder, tiny, "pretrain", "whole", family)
    run = recipe_folder / "cut" / "pretrain"
    cut = start(recipe_folder, tiny, "pretrain", "cut", family)
    wait_for(cut, run, '"step": 5')
    cut.send_signal(number)
    _, message = cut.communicate(timeout=60)
    if number == signal.SIGINT:
        assert cut.returncode == 130 and "the same command, without --force, resumes from there" in message
    else:
        assert cut.returncode == -signal.SIGKILL
    stopped = checkpoint.read_meta(checkpoint.latest(run)).step
    assert 3 <= stopped < 12
    again = start(recipe_folder, tiny, "pretrain", "cut", family)
    for process in (whole, again):
        _, message = process.communicate(timeout=120)
        assert process.returncode == 0, message
    expected = losses(recipe_folder / "whole" / "pretrain")
    assert [row[0] for row in expected if row[1] == "train"] == list(range(1, 13))
    assert losses(run) == expected
    ours, theirs = (checkpoint.load(checkpoint.latest(recipe_folder / e / "pretrain"), True) for e in ("cut", "whole"))
    discriminators, same = (saved.optimiser["losses"] for saved in (ours, theirs))
    kept = {"adversarial"} if family == "raw" else {"l1", "spectral_convergence"}
    assert discriminators.keys() == same.keys() == kept
    for name, state in discriminators.items():
        for key, value in state.items():
            assert str(value) == str(same[name][key]) if key == "_extra_state" else torch.equal(value, same[name][key])
    for name, value in ours.weights.items():
        assert torch.equal(value, theirs.weights[name]), name
    for name, value in ours.averaged.items():
        assert torch.equal(value, theirs.averaged[name]), name
