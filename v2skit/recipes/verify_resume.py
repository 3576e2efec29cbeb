"""``v2skit verify-resume``: training that is killed and resumed must give the weights of uninterrupted training."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from v2skit.config.load import load_config
from v2skit.errors import UserError
from v2skit.models import checkpoint

TIMINGS = ("seconds_per_step", "waiting_share")
"""Logged values that differ between runs with the same losses."""
RUNS = ("whole", "killed")
TIMEOUT_SECONDS = 600.0
"""A run without a new step in this time is an error."""


@dataclass(frozen=True)
class Check:
    """The settings of a check.

    Args:
        config: of the recipe.
        work_dir: its folder, with prepared data.
        folder: for the two runs; those of an earlier check are deleted.
        sets: ``--set`` values.
        steps: to train.
        kills: number of times that one of the two is killed.
        seed: of the moments of the kills.
        device: ``auto``, ``cpu`` or ``cuda``.
        nproc: processes that train together; a step needs at least as many batches.
    """

    config: Path
    work_dir: Path
    folder: Path
    sets: list[str]
    steps: int
    kills: int
    seed: int
    device: str
    nproc: int = 1


def verify_resume(check: Check) -> str:
    """Train twice, once killed at random moments and resumed, and compare every loss and every tensor bit for bit.

    Returns:
        a sentence on what was compared.

    Raises:
        UserError: a run failed, or the two differ; the first difference is named.
    """
    if check.kills < 1 or check.steps < 2:
        raise UserError(f"verify-resume: kills {check.kills} must be at least 1 and steps {check.steps} at least 2")
    others = sorted({path.name for path in check.folder.glob("*")} - set(RUNS))
    if others:
        raise UserError(f"--exp {check.folder} holds other things ({others[0]}); give an empty folder")
    for name in RUNS:
        shutil.rmtree(check.folder / name, ignore_errors=True)
    print(f"training {check.steps} steps without interruption")
    _finish(_start(check, "whole"))
    moments, killed = random.Random(check.seed), []
    for number in range(1, check.kills + 1):
        process = _start(check, "killed")
        wanted = moments.randint(
            _reached(check) + 1, max(_reached(check) + 1, check.steps * number // (check.kills + 1))
        )
        if not _wait(process, check, wanted):
            break
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.communicate()  # until its data-loading processes have ended, which inherit the run's lock
        killed.append(_reached(check))
        print(f"killed at about step {killed[-1]}")
    _finish(_start(check, "killed"))
    fewer = "" if len(killed) == check.kills else f"; for {check.kills} kills give more --steps"
    compared = compare(check.folder / "whole/pretrain", check.folder / "killed/pretrain")
    return f"{compared} are the same, bit for bit, after {len(killed)} kills (at about steps {killed}){fewer}"


def compare(ours: Path, theirs: Path) -> str:
    """Compare two finished runs. Returns what was compared. Raises UserError where they differ."""
    rows = [_losses(run) for run in (ours, theirs)]
    if len(rows[0]) != len(rows[1]):
        raise UserError(f"{ours} logged {len(rows[0])} lines, {theirs} {len(rows[1])}")
    if not rows[0]:
        raise UserError(f"{ours} has no log.jsonl to compare; train with --set loggers.jsonl='{{type: jsonl}}'")
    for one, other in zip(*rows, strict=True):
        keys = [key for key in one if one[key] != other.get(key)]
        if keys:
            values = f"{one[keys[0]]} in {ours}, {other.get(keys[0])} in {theirs}"
            raise UserError(f"step {one['step']}, {one['kind']} {keys[0]}: {values}")
    newest = [checkpoint.latest(run) for run in (ours, theirs)]
    one, other = (checkpoint.load(path, optimiser=True) for path in newest if path is not None)
    tensors = 0
    for part in ("weights", "averaged", "optimiser"):
        found = [_tensors(getattr(saved, part), part) for saved in (one, other)]
        if found[0].keys() != found[1].keys():
            raise UserError(f"{part}: the two runs do not have the same tensors")
        for name, value in found[0].items():
            if not torch.equal(value, found[1][name]):
                raise UserError(f"{name} differs between {ours} and {theirs}")
        tensors += len(found[0])
    return f"{len(rows[0])} lines of losses and {tensors} tensors of weights, averages and optimisers"


def _tensors(value: object, name: str) -> dict[str, Tensor]:
    """All tensors in nested dicts and lists, by their path; other values as they are written."""
    if isinstance(value, Tensor):
        return {name: value}
    if isinstance(value, dict):
        pairs: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, (list, tuple)):
        pairs = enumerate(value)
    else:
        return {f"{name}={value!r}": torch.zeros(0)}
    return {k: v for key, inner in pairs for k, v in _tensors(inner, f"{name}.{key}").items()}


def _start(check: Check, name: str) -> subprocess.Popen:
    sets = [
        f"pretrain.steps={check.steps}",
        "pretrain.log_every=1",
        f"pretrain.checkpoint_every={max(1, check.steps // 8)}",
    ]
    config = load_config(check.config, check.sets)
    loggers = [*(f"loggers.{logger}=null" for logger in config.loggers), "loggers.verify={type: jsonl}"]
    a2a = [
        "pretrained=null",
        *([] if config.transfer or config.trains != "v2s" else ["transfer.encoder={}"]),
    ]  # without these it trains none
    sets = [*check.sets, *sets, *loggers, *a2a, f"pretrain.validate_every={max(1, check.steps // 2)}"]
    command = [sys.executable, "-m", "v2skit", "stage", "pretrain", "--config", str(check.config)]
    command += ["--work_dir", str(check.work_dir), "--exp", str(check.folder / name), "--device", check.device]
    command += ["--nproc", str(check.nproc)]
    command += [text for value in sets for text in ("--set", value)]
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def _finish(process: subprocess.Popen) -> None:
    """Wait for a run. Raises UserError where it failed, after its messages were printed as they are."""
    messages = process.communicate()[1]
    if process.returncode:
        print(messages, end="", file=sys.stderr)
        status = process.returncode
        raise UserError(f"verify-resume: training failed with exit status {status}; see above why", status=status)


def _wait(process: subprocess.Popen, check: Check, step: int) -> bool:
    """Wait until a step is logged. Returns whether the run still runs. Raises UserError where it hangs or fails."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if _reached(check) >= step:
            return True
        time.sleep(0.02)
    if process.poll() is None:
        process.kill()
        raise UserError(f"verify-resume: no step {step} in {TIMEOUT_SECONDS:g} s; look at {check.folder}/killed")
    _finish(process)
    return False


def _reached(check: Check) -> int:
    """The last step that the killed run logged."""
    rows = _losses(check.folder / "killed/pretrain")
    return rows[-1]["step"] if rows else 0


def _losses(run: Path) -> list[dict]:
    path = run / "log.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("}\n")]
    return [{k: v for k, v in row.items() if k not in TIMINGS} for row in rows]
