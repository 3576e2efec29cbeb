"""What the folder of an experiment has for its report: results, scores of each clip, training logs, ledgers, config."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from v2skit.config.check import check
from v2skit.config.features import Clock, Mel
from v2skit.config.yaml_tree import parse_yaml
from v2skit.data.data_dir import Utterance, read_manifest
from v2skit.errors import UserError
from v2skit.evaluation import stored_forms
from v2skit.evaluation.file_scores import FileScores
from v2skit.evaluation.score import SCORES
from v2skit.evaluation.stored_forms import read_form
from v2skit.evaluation.systems import read_results, read_scores
from v2skit.system.state_file import read_state
from v2skit.system.text_file import read_lines

GROUND_TRUTH = "ground_truth"
"""The results row without a folder of speech."""

CONFIG, LOG, LEDGER, MACHINE = "config.yaml", "log.jsonl", "ledger.json", "machine.json"
RUNS = ("pretrain", "transfer", "finetune", "scratch")
"""Folders of an experiment in the order of its stages; others follow them."""


@dataclass(frozen=True)
class Run:
    """A training run, or the transfer.

    Args:
        name: of its folder.
        log: of each logged step, its entry of ``log.jsonl``.
        ledger: content of ``ledger.json``; None where no weights were copied.
        machine: see :func:`v2skit.system.machine.describe`; None where it is not recorded.
    """

    name: str
    log: list[dict[str, Any]] = field(default_factory=list)
    ledger: dict[str, Any] | None = None
    machine: dict[str, Any] | None = None

    @property
    def seconds(self) -> float:
        """Time that the logged steps took, without that of validation."""
        total, before = 0.0, 0
        for entry in self.log:
            if entry.get("kind") == "train" and "seconds_per_step" in entry:
                total += entry["seconds_per_step"] * max(0, entry["step"] - before)
                before = entry["step"]
        return total

    @property
    def steps(self) -> int:
        """The last logged step."""
        return max((entry["step"] for entry in self.log), default=0)


@dataclass(frozen=True)
class Experiment:
    """A scored experiment.

    Args:
        folder: of the experiment.
        results: content of ``results.json``.
        config: the resolved config of its training, as a plain tree; empty where it has none.
        runs: in the order of the stages.
        test: utterances of its test set; empty where its data directory is gone.
        scores: results row -> id of a clip -> its scores.
    """

    folder: Path
    results: dict[str, Any]
    config: dict[str, Any]
    runs: list[Run]
    test: list[Utterance]
    scores: dict[str, dict[str, FileScores]]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.resolve().name

    @property
    def clock(self) -> Clock:
        """The clock of its config. Raises UserError where it is none."""
        return check(self.config.get("clock", {}), Clock, f"{self.folder}: {CONFIG}", path="clock")

    @property
    def mel(self) -> Mel:
        """The mel of its config. Raises UserError where it is none."""
        return check(self.config.get("mel", {}), Mel, f"{self.folder}: {CONFIG}", path="mel")

    def speech(self, row: str) -> Path:
        """The folder of a row's speech."""
        return self.folder / "synth" / row


def read_experiment(folder: Path, work_dir: Path | None = None) -> Experiment:
    """Read an experiment.

    Args:
        folder: of the experiment.
        work_dir: the recipe's folder, to which the config's data folder is relative; None: two folders up.

    Raises:
        UserError: it has no results, or a file of it is damaged.
    """
    results = read_results(folder)
    if not results.get("rows"):
        raise UserError(f"{folder} has no results.json with scores; stage 6 makes it", path=folder)
    names = [name for name in RUNS if (folder / name).is_dir()]
    names += sorted(path.parent.name for path in folder.glob(f"*/{LOG}") if path.parent.name not in RUNS)
    config: dict[str, Any] = {}
    for name in ("finetune", *names):
        config = config or read_state(folder / name / CONFIG, "repeat that stage with --force", _yaml) or {}
    config.pop("made_from", None)
    results.setdefault("higher_is_better", {})
    speech = {row: folder / "synth" / row for row in results["rows"]}
    scores = {row: read_scores(path, results)[0] for row, path in speech.items() if (path / SCORES).is_file()}
    place = work_dir or folder.resolve().parents[1]
    return Experiment(folder, results, config, [_run(folder / n) for n in names], _test(place, config), scores)


def _run(folder: Path) -> Run:
    remedy = "repeat that stage with --force"
    ledger = read_form(folder / LEDGER, stored_forms.LEDGER, remedy)
    machine = read_form(folder / MACHINE, stored_forms.MACHINE, remedy)
    return Run(folder.name, list(_entries(folder / LOG)), ledger, machine)


def _test(work_dir: Path, config: dict[str, Any]) -> list[Utterance]:
    """The test set; nothing where the data directory can't be found, since the report is worth reading without it."""
    data = config.get("data")
    data = data if isinstance(data, dict) else {}
    folder = work_dir / str(data.get("folder", "data")) / str(data.get("test", "test"))
    return read_manifest(folder) if (folder / "utt2num_frames").exists() else []


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a log; damaged ones, such as the last one of a run that was killed, are left out."""
    if not path.is_file():
        return
    for line in read_lines(path, errors="replace"):
        try:
            entry = json.loads(line)
            stored_forms.LOG_ENTRY.validate_json(line, strict=True)
        except (ValueError, RecursionError):
            continue
        yield entry


def _yaml(text: str) -> Any:
    return parse_yaml(text, CONFIG)
