"""Processes of --nproc and --nnodes end in order, or with one message that names the process that did not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch.distributed.elastic import rendezvous

from tests.conftest import ROOT
from v2skit.cli.main import main
from v2skit.data.data_dir import read_manifest
from v2skit.errors import UserError
from v2skit.models import checkpoint
from v2skit.training.group import Group, first_node
from v2skit.training.launch import Monitor, launch, raise_failure

SETS = ["accumulate=2", "checkpoint_every=3", "validate_every=1000", "rank_timeout_seconds=2"]


def start(folder: Path, config: Path, *more: str, steps: int = 2000) -> subprocess.Popen:
    """Pre-training in two processes."""
    sets = [text for value in (*SETS, f"steps={steps}") for text in ("--set", f"pretrain.{value}")]
    command = [sys.executable, "-m", "v2skit", "stage", "pretrain", "--config", str(config), "--work_dir", str(folder)]
    command += ["--exp", str(folder / "exp"), "--device", "cpu", "--nproc", "2", *sets, *more]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def wait_for_step(process: subprocess.Popen, folder: Path, step: int) -> None:
    log = folder / "exp/pretrain/log.jsonl"
    while not (log.exists() and f'"step": {step},' in log.read_text()):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)


def ranks(process: subprocess.Popen) -> dict[int, int]:
    """Rank -> process id."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = dict(text.split("=", 1) for text in path.read_text().split("\0") if "=" in text)
        except (OSError, UnicodeDecodeError):
            continue
        if variables.get("V2SKIT_LAUNCHER") == str(process.pid):
            found.setdefault(int(variables.get("RANK", -1)), int(path.parent.name))
    return found


def message(process: subprocess.Popen, status: int, folder: Path) -> str:
    """How it ended, without a trace."""
    processes = ranks(process)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == status and "Traceback" not in printed, printed
    for number in processes.values():
        assert not Path(f"/proc/{number}").exists()
    return printed.strip().splitlines()[-1]


def test_interrupted_killed_stuck_and_finished(recipe_folder, tiny):
    run = recipe_folder / "exp/pretrain"
    process = start(recipe_folder, tiny)
    wait_for_step(process, recipe_folder, 2)
    process.send_signal(signal.SIGINT)
    assert "the same command, without --force, resumes from there" in message(process, 130, recipe_folder)
    stopped = checkpoint.read_meta(checkpoint.latest(run)).step
    assert f'"step": {stopped},' in (run / "log.jsonl").read_text().splitlines()[-1]

    process = start(recipe_folder, tiny)
    wait_for_step(process, recipe_folder, stopped + 4)
    os.kill(ranks(process)[1], signal.SIGKILL)
    printed = message(process, 1, recipe_folder)
    assert (
        "rank 1 was ended by SIGKILL" in printed
        and "the same command, without --force, resumes from the last checkpoint" in printed
    )

    killed = checkpoint.read_meta(checkpoint.latest(run)).step
    assert killed > stopped
    without = ("--set", "pretrain.checkpoint_every=1000")  # after a checkpoint the others wait ten times as long
    process = start(recipe_folder, tiny, *without)
    wait_for_step(process, recipe_folder, killed + 4)
    os.kill(ranks(process)[1], signal.SIGSTOP)
    assert "rank 1 is stuck: not there 2 s after the others" in message(process, 1, recipe_folder)
    rows = [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]
    assert rows == list(range(1, len(rows) + 1))


def test_damaged_data_found_by_one_process_are_named(recipe_folder, tiny):
    for utterance in read_manifest(recipe_folder / "data/audio")[1:]:
        utterance.audio.write_bytes(b"")
    process = start(recipe_folder, tiny, "--set", "pretrain.batch_frames=20")
    printed = message(process, 1, recipe_folder)
    assert (printed.startswith("v2skit: error: ") and "s0-0" in printed) or "s1-0" in printed
    assert "rank" not in printed


def test_a_killed_launcher_leaves_no_process(recipe_folder, tiny):
    process = start(recipe_folder, tiny)
    wait_for_step(process, recipe_folder, 1)
    numbers = ranks(process)
    assert set(numbers) == {0, 1}
    process.kill()
    process.communicate()
    end = time.monotonic() + 10
    while any(_runs(number) for number in numbers.values()):
        assert time.monotonic() < end
        time.sleep(0.05)


def _runs(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_batches_that_can_not_be_shared_are_refused_at_once(recipe_folder, tiny, capsys):
    options = ["--config", str(tiny), "--work_dir", str(recipe_folder), "--device", "cpu", "--nproc", "2"]
    assert main(["stage", "pretrain", *options, "--set", "pretrain.accumulate=3"]) == 1
    assert "by 2 processes; set accumulate to 2 or 4 (--set pretrain.accumulate=N" in capsys.readouterr().err
    assert main(["stage", "transfer", *options]) == 1  # one process does it, whatever --nproc says
    assert "stage 2" in capsys.readouterr().err


def test_a_process_is_named_before_those_that_were_ended_for_its_sake(tmp_path):
    """On a busy machine they are all seen to have ended at once."""
    codes = {0: -signal.SIGTERM, 1: -signal.SIGKILL, 2: -signal.SIGTERM}
    with pytest.raises(UserError, match=r"rank 1 was ended by SIGKILL \(possibly out of memory"):
        raise_failure(Monitor(tmp_path, first={0, 1, 2}), codes, False)
    with pytest.raises(UserError, match="rank 2 was ended by SIGTERM"):
        raise_failure(Monitor(tmp_path, first={2}), codes, False)


def test_where_machines_meet(monkeypatch):
    for name in ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    assert Group(2).address == "localhost:0" and Group(2, 3, "node1:29400").address == "node1:29400"
    assert Group(2, 3, "node1:29400").world == 6
    with pytest.raises(UserError, match="--nnodes 2 needs --rdzv HOST:PORT"):
        Group(1, 2)
    for place in ("node1", "node1:99999", "node1:0"):
        with pytest.raises(UserError, match="not of the form HOST:PORT"):
            Group(1, 2, place)
    with pytest.raises(UserError, match="--nproc 0 and --nnodes 1 must be at least 1"):
        Group(0)
    monkeypatch.setenv("SLURM_JOB_NODELIST", "gpu[03-05,07]")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert Group(1, 2).address == "gpu03:20007"


def test_a_place_to_meet_that_can_not_be_reached_is_named(monkeypatch):
    def refuse(parameters):
        raise rendezvous.RendezvousConnectionError("no route")

    monkeypatch.setattr(rendezvous.registry, "get_rendezvous_handler", refuse)
    with pytest.raises(UserError, match="not all machines connected at node1:29400; start the same command on all 2"):
        launch([], "pretrain", Group(1, 2, "node1:29400"))


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu1", "gpu1"), ("a,b", "a"), ("gpu[03-05,07],cpu1", "gpu03"), ("n[1-2]-ib", "n1-ib"), ("r-[10,12]", "r-10")],
)
def test_first_node(nodes, first):
    assert first_node(nodes) == first
