"""How two experiments differ: config, data, code, plug-ins, environment, scoring and scores, from their records."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from v2skit.errors import UserError
from v2skit.evaluation.systems import RESULTS, RUNS, read_results, read_run
from v2skit.system import environment
from v2skit.system.provenance import Difference, Provenance
from v2skit.system.state_file import read_state

MACHINE = "machine.json"
_ALL_RUNS = ("pretrain", "finetune", "scratch")
_REMEDY = "--force repeats the stage that wrote it"


class Section(NamedTuple):
    """One kind of differences.

    Args:
        title: of the section.
        differences: by key; ``before`` is of the first experiment, ``now`` of the second.
        lacking: the experiments that have no record of this kind.
    """

    title: str
    differences: list[Difference]
    lacking: list[Path]


def difference(first: Path, second: Path) -> list[Section]:
    """The differences of two experiments.

    Args:
        first: folder of an experiment.
        second: likewise.

    Raises:
        UserError: one is no experiment, or a record is damaged.
    """
    a, b = _records(first), _records(second)
    sections = []
    for title in a:
        lacking = [path for path, records in ((first, a), (second, b)) if _is_empty(records[title])]
        sections.append(Section(title, [] if lacking else a[title].diff(b[title]), lacking))
    return sections


def _records(exp: Path) -> dict[str, Provenance]:
    """Title of a section -> its record, empty where there is none."""
    runs = {run: tree for run in _ALL_RUNS if (tree := read_run(exp / run)) is not None}
    results = read_results(exp)
    if not (runs or results):
        raise UserError(f"{exp} is no experiment: it has neither runs nor {RESULTS}; name a folder such as exp/mel")
    made_from = {run: tree.pop("made_from", None) for run, tree in runs.items()}
    files = {run: {f["name"]: f["digest"] for f in tree.pop("plugins", None) or []} for run, tree in runs.items()}
    last = next((run for run in RUNS if run in runs), None)
    software = {run: _read(exp / run / environment.NAME) for run in runs}
    code = {run: tree.pop("code", None) for run, tree in software.items()}
    rows = results.get("rows", {})
    return {
        "Config": Provenance(runs[last] if last else {}),
        "Data and other inputs": Provenance({**made_from, "test set": results.get("conditions", {}).get("split")}),
        "Code": Provenance(code),
        "Plug-ins": Provenance({run: {"versions": _plugins(exp / run), "files": files[run]} for run in runs}),
        "Environment": Provenance({run: {**software[run], "machine": _read(exp / run / MACHINE)} for run in runs}),
        "Scoring": Provenance({
            "protocol": (results.get("protocol") or {}).get("name"),
            "fingerprint": (results.get("protocol") or {}).get("fingerprint"),
            **results.get("conditions", {}), "split": None, "columns": results.get("protocols", {}),
        }),
        "Scores": Provenance({row: {name: e.get("mean") for name, e in rows[row].items()} for row in rows}),
    }  # fmt: skip


def _is_empty(record: Provenance) -> bool:
    return all(value is None for value in record.values.values())


def _plugins(run: Path) -> dict[str, str]:
    """The packages whose components the newest checkpoint of a run is made of, and their versions."""
    newest = max(run.glob("checkpoint-*"), default=None)
    return _read(newest / "meta.json").get("plugins", {}) if newest else {}


def _read(path: Path) -> dict[str, Any]:
    return read_state(path, _REMEDY) or {}
