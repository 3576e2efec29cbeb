"""Scored systems, read back from what stage 6 wrote: an experiment's row, or a folder of scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from v2skit.config.yaml_tree import parse_yaml
from v2skit.errors import UserError, suggestion
from v2skit.evaluation import stored_forms
from v2skit.evaluation.file_scores import FileScores
from v2skit.evaluation.protocol import Split, digest_of
from v2skit.evaluation.stored_forms import read_form
from v2skit.evaluation.stored_scores import SCORES, read_files
from v2skit.system.provenance import Provenance
from v2skit.system.state_file import damaged, read_state

RESULTS = "results.json"
RUNS = ("finetune", "pretrain")
"""Folders of the training runs of an experiment: the first one that it has is the one that made its model."""
_REMEDY = "stage 6 with --force makes it again"


@dataclass(frozen=True)
class System:
    """A row of an experiment's results, or a folder of scores.

    Args:
        name: as the user named it.
        folder: of its scores.
        files: id -> scores of a clip.
        fingerprint: of the protocol of the scores; None where they have none.
        results: content of ``results.json``; empty where there is none.
        exp: folder of the experiment, None for a folder of scores without one.
    """

    name: str
    folder: Path
    files: dict[str, FileScores]
    fingerprint: str | None
    results: dict[str, Any]
    exp: Path | None

    @property
    def protocol(self) -> dict[str, Any] | None:
        """Name, fingerprint and fields of the protocol, where the results have it."""
        return self.results.get("protocol")

    @property
    def metrics(self) -> dict[str, str]:
        """Column -> its stated protocol."""
        return self.results.get("protocols", {})

    @property
    def conditions(self) -> dict[str, Any]:
        """The conditions of the scoring as far as they are recorded, and in any case the test set."""
        split = Split(digest_of(self.files), len(self.files), None)
        return {"split": vars(split), **self.results.get("conditions", {})}

    @property
    def unseen_talkers(self) -> bool:
        """Whether no talker of the test set is in the training data, as far as that is recorded."""
        return self.conditions["split"]["unseen_talkers"] is True

    @cached_property
    def config(self) -> Provenance | None:
        """The config of the experiment's last training run; None where it has none."""
        return read_config(self.exp) if self.exp else None


def read_system(name: str) -> System:
    """A system by the path of an experiment or its ``results.json``, whose main row it is, the last one, by
    ``EXP:ROW``, or by the path of a folder of scores.

    Raises:
        UserError: there are no such scores, or they are damaged.
    """
    path, row = Path(name), ""
    if not path.exists() and ":" in name:
        start, _, row = name.rpartition(":")
        path = Path(start)
    exp = path.parent if path.name in (RESULTS, SCORES) else path
    if not row and (exp / SCORES).is_file():
        folder, exp = exp, exp.resolve().parent.parent
    else:
        results = read_results(exp)
        rows = [r for r in results.get("rows", {}) if (exp / "synth" / r / SCORES).is_file()]
        if not rows:
            remedy = f"name an experiment after stage 6, EXP:ROW, or a folder with {SCORES}"
            raise UserError(f"{name} has no scores of clips; {remedy}")
        if row and row not in rows:
            raise UserError(f"{exp} has no scores of row '{row}'{suggestion(row, rows)}")
        main = results.get("main_row") or rows[-1]
        if not row and main not in rows:
            raise UserError(
                f"{name} has no scores of its main row, {main}; repeat stages 5 and 6, or name {exp}:{rows[-1]}"
            )
        folder = exp / "synth" / (row or main)
    results = read_results(exp) if folder.parent.name == "synth" else {}
    files, fingerprint = read_scores(folder, results)
    return System(name, folder.resolve(), files, fingerprint, results, exp.resolve() if results else None)


def read_results(exp: Path, whole: bool = False) -> dict[str, Any]:
    """The content of ``results.json``, empty where there is none.

    Args:
        exp: folder of the experiment.
        whole: it must have all that ``results.md`` is made from.

    Raises:
        UserError: it is damaged.
    """
    found = read_form(exp / RESULTS, stored_forms.RESULTS, _REMEDY) or {}
    if whole and not (found.get("rows") and found.keys() >= stored_forms.WHOLE):
        raise damaged(exp / RESULTS, "parts of it are missing", _REMEDY)
    return found


def read_scores(folder: Path, results: Mapping[str, Any]) -> tuple[dict[str, FileScores], str | None]:
    """The scores of a row, as :func:`v2skit.evaluation.stored_scores.read_files`.

    Args:
        folder: of the row's speech.
        results: of the experiment, empty where there are none.

    Raises:
        UserError: they are damaged, or not of the clips that the results are of, as where scoring was interrupted.
    """
    files, fingerprint = read_files(folder / SCORES)
    split = (results.get("conditions") or {}).get("split", {})
    count = results.get("files", {}).get(folder.name, split.get("count", len(files)))
    if len(files) != count or split.get("clips", digest_of(files)) != digest_of(files):
        reason = f"{len(files)} clips, not the {count} of the results: scoring was interrupted, or is of other clips"
        raise damaged(folder / SCORES, reason, _REMEDY)
    return files, fingerprint


def read_config(exp: Path) -> Provenance | None:
    """The config of an experiment's last training run, with digests of its inputs under ``made_from``; None without a
    run. Raises UserError where it is damaged."""
    trees = (read_run(exp / run) for run in RUNS)
    return next((Provenance(tree) for tree in trees if tree is not None), None)


def read_run(run: Path) -> dict[str, Any] | None:
    """The record of a training run as a plain tree: its config, and ``made_from``; None where there is none. Raises
    UserError where it is damaged."""
    path = run / "config.yaml"
    return read_state(path, "--force repeats that stage", lambda text: parse_yaml(text, str(path)))
