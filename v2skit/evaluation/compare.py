"""Comparison of scored systems: paired intervals over clips, talkers and seeds, where their conditions are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.config.schema import MACHINE
from v2skit.errors import UserError
from v2skit.evaluation.bootstrap import LEVEL, seeds_interval
from v2skit.evaluation.failed_clips import with_worst
from v2skit.evaluation.file_scores import WER, FileScores
from v2skit.evaluation.markdown import MIN_FILES
from v2skit.evaluation.protocol import worded
from v2skit.evaluation.report import term
from v2skit.evaluation.systems import RUNS, System
from v2skit.system.provenance import Difference, Provenance

BETTER, WORSE, UNCLEAR = "better", "worse", "no clear difference"
ONE_SEED = "no verdict from one seed"
DROP, WORST = "drop", "worst"
TOO_FEW = f"no verdict from fewer than {MIN_FILES} clips or talkers"

_MAY_DIFFER = (
    "seed", "made_from", "pretrained", "data.folder", "corpus.corpus_dir", "loggers", "scoring",
    "prepare.jobs", "prepare.cluster", "prepare.slurm", *(f"{run}.{key}" for run in RUNS for key in MACHINE),
)  # fmt: skip
"""Keys, or beginnings of keys, in which configs of different seeds may differ: each seed may have its own pre-training,
data folder and machine."""


@dataclass(frozen=True)
class Group:
    """A system with one or several seeds.

    Args:
        name: of the system.
        members: one for each seed.

    Raises:
        UserError: the members differ in more than the seed.
    """

    name: str
    members: list[System]

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            return
        seeds: dict[Any, System] = {}
        for member in self.members:
            if member.config is None:
                raise UserError(
                    f"{member.name}: its seed is unknown without its experiment; name it outside of a group"
                )
            other = seeds.setdefault(member.config.values.get("seed"), member)
            if other is not member:
                raise UserError(f"{other.name} and {member.name} have the same seed; a group has one of each seed")
            self._check_same(self.members[0], member)

    def _check_same(self, first: System, member: System) -> None:
        assert first.config and member.config
        changed = [d for d in first.config.diff(member.config) if not _may_differ(d.key)]
        if differences := changed or differing_fields(first, member) or columns(first, member)[1]:
            text = worded(differences, f"in {first.name}", f"in {member.name}")
            raise UserError(f"group {self.name}: its members may differ in the seed only ({text}); name them apart")

    @property
    def first(self) -> System:
        """The member whose conditions are those of all."""
        return self.members[0]


def _may_differ(key: str) -> bool:
    path = key.split(".")
    return f"{key}.".startswith(tuple(f"{k}." for k in _MAY_DIFFER)) or (path[0] == "parts" and path[-1] == "init")


def differing_fields(a: System, b: System) -> list[Difference]:
    """The fields of protocol or conditions in which two systems differ, so that they can't be ranked; as far as they
    are recorded for both. Other columns may still differ, see :func:`columns`."""
    used = [Provenance({"alignment": "lag" if _are_aligned(s) else "none"}) for s in (a, b)]
    if a.fingerprint and a.fingerprint == b.fingerprint:
        return used[0].diff(used[1])
    if a.protocol and b.protocol:
        return Provenance(a.protocol["fields"]).diff(Provenance(b.protocol["fields"]))
    before, now = (Provenance({**s.conditions, **u.values}) for s, u in zip((a, b), used, strict=True))
    both = {key for key in before.values.keys() & now.values.keys() if _known(before, key) and _known(now, key)}
    found = before.diff(now, only=both - {"recogniser"})
    if a.fingerprint and b.fingerprint and not found:
        return [Difference("fingerprint of the protocol", a.fingerprint, b.fingerprint)]
    return found


def _known(record: Provenance, key: str) -> bool:
    return record.values[key] is not None


def columns(a: System, b: System) -> tuple[list[str], list[Difference]]:
    """The columns that two systems can be compared in, and the stated protocols of the others that both have."""
    same_protocol = a.protocol["fields"] if a.protocol and a.fingerprint == b.fingerprint else {}
    fixed = {*same_protocol.get("metrics", ()), *([WER] if same_protocol.get("recogniser") else [])}
    both = [name for name in _names(a) if name in _names(b)]
    known = Provenance(a.metrics).diff(Provenance(b.metrics), only=set(both) & a.metrics.keys() & b.metrics.keys())
    others = [difference for difference in known if difference.key not in fixed]
    differing = {difference.key for difference in others}
    return [name for name in both if name not in differing], others


def _names(system: System) -> list[str]:
    """The columns of a system: those of its results, else those of its clips."""
    return list(system.metrics) or sorted({name for file in system.files.values() for name in file.values})


def compare(groups: Sequence[Group], resamples: int = 10000, seed: int = 1, failed: str = DROP) -> dict[str, Any]:
    """Compare systems with the first one.

    Args:
        groups: two or more systems, by different names.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        failed: what becomes of clips that a metric failed for: they are left out of both systems of a difference
            (DROP), or have the worst score (WORST), see :func:`v2skit.evaluation.failed_clips.with_worst`.

    Returns:
        ``systems``: name -> seeds, clips and the entry of each metric; ``differences``: name -> metric -> entries over
        clips and, where talkers are unseen, over talkers, with the verdict; ``refused``: name -> fields that differ
        from the first system's; ``left_out``: name -> columns whose stated protocols differ; ``unrecorded``: names of
        the systems whose conditions are not recorded; ``failed``: name -> metric -> ids of the clips that a seed has no
        number for; ``failed_are``: as the argument; ``higher_is_better``.

    Raises:
        UserError: there are fewer than two systems, or two of one name or of the same scores.
    """
    names = [group.name for group in groups]
    if len(names) < 2 or resamples < 1:
        raise UserError("give two or more systems to compare, and one or more resamples")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise UserError(f"two systems are called '{twice[0]}'; give each one once, groups under different names")
    scores: dict[frozenset[Path], str] = {}
    for g in groups:
        other = scores.setdefault(frozenset(member.folder for member in g.members), g.name)
        if other != g.name:
            raise UserError(f"{other} and {g.name} are the same scores; give each system once")
    lost = {g.name: _failed(g) for g in groups}
    directions = {k: v for g in reversed(groups) for k, v in g.first.results.get("higher_is_better", {}).items()}
    if failed == WORST:
        filled = iter(with_worst([member for g in groups for member in g.members], directions))
        groups = [replace(g, members=[next(filled) for _ in g.members]) for g in groups]
    first, *others = groups
    how = {"resamples": resamples, "seed": seed}
    refused = {g.name: differing_fields(first.first, g.first) for g in others}
    ranked = [g for g in others if not refused[g.name]]
    found = {g.name: columns(first.first, g.first) for g in ranked}
    return {
        "systems": {g.name: _described(g, lost[g.name], how) for g in groups},
        "differences": {
            g.name: {name: _difference(g, first, name, directions.get(name), how) for name in found[g.name][0]}
            for g in ranked
        },
        "refused": {name: differences for name, differences in refused.items() if differences},
        "left_out": {name: others for name, (_, others) in found.items() if others},
        "unrecorded": [g.name for g in groups if "conditions" not in g.first.results],
        "protocols": {g.name: (g.first.protocol or {}).get("name") for g in groups},
        "failed": {name: by_metric for name, by_metric in lost.items() if by_metric},
        "failed_are": failed,
        "higher_is_better": directions,
        "bootstrap": {**how, "level": LEVEL},
    }


def _failed(group: Group) -> dict[str, list[str]]:
    """Metric -> the clips that one of the seeds has no number for."""
    scored = {name: [_with(name, member) for member in group.members] for name in _names(group.first)}
    lost = {n: [i for i in group.first.files if any(i not in of for of in seeds)] for n, seeds in scored.items()}
    return {name: ids for name, ids in lost.items() if ids}


def _described(group: Group, lost: dict[str, list[str]], how: dict[str, int]) -> dict[str, Any]:
    metrics = {
        name: {**_entry(terms(name, group.members)[0], how), "failed": len(lost.get(name, ()))}
        for name in _names(group.first)
    }
    return {"seeds": len(group.members), "clips": len(group.first.files), "metrics": metrics}


def _difference(
    group: Group, first: Group, name: str, higher_is_better: bool | None, how: dict[str, int]
) -> dict[str, Any]:
    """Of one metric: the group minus the first one."""
    values, talkers = terms(name, group.members, first.members)
    paired = [m.exp for m in group.members] == [m.exp for m in first.members] != [None]
    entries = {"clips": _entry(values, how, paired)}
    if group.first.unseen_talkers or first.first.unseen_talkers:  # the other's training data may be unrecorded
        entries["talkers"] = _entry([_by_talker(v, talkers) for v in values], how, paired)
    seeds = min(len(group.members), len(first.members))
    return {**entries, "verdict": _verdict(list(entries.values()), seeds, higher_is_better)}


def _verdict(entries: list[dict[str, Any]], seeds: int, higher_is_better: bool | None) -> str:
    if any(e["n"] < MIN_FILES for e in entries):
        return TOO_FEW
    if seeds < 2:
        return ONE_SEED
    above, below = all(e["low"] > 0 for e in entries), all(e["high"] < 0 for e in entries)
    if higher_is_better is None or not (above or below):
        return UNCLEAR
    return BETTER if above == higher_is_better else WORSE


def terms(name: str, *systems: Sequence[System]) -> tuple[list[np.ndarray], list[str]]:
    """The terms of a metric over the clips that all seeds of all systems have it for.

    Args:
        name: of the metric.
        systems: the seeds of each system.

    Returns:
        (S, n, 2) of each system, numerators and denominators; and the talkers of the n clips.
    """
    scores = [[_with(name, seed) for seed in seeds] for seeds in systems]
    first = scores[0][0]
    ids = [i for i in first if all(i in files for seeds in scores for files in seeds)]
    tables = [np.array([[term(files[i], name) for i in ids] for files in seeds], float) for seeds in scores]
    return [t.reshape(len(t), len(ids), 2) for t in tables], [systems[0][0].files[i].speaker for i in ids]


def _with(name: str, system: System) -> dict[str, FileScores]:
    """Id -> scores of the clips that have a metric: as they are, or time-aligned where the protocol says so. (There are
    no error rates of time-aligned clips.)"""
    found = dict(system.files)
    if _are_aligned(system):
        aligned = {i: file.aligned for i, file in found.items() if file.aligned}
        found |= {i: file for i, file in aligned.items() if name in (*file.values, *file.failures)}
    return {i: file for i, file in found.items() if name in file.values}


def _are_aligned(system: System) -> bool:
    """Whether the time-aligned scores of a system are compared."""
    return (system.protocol or {}).get("fields", {}).get("alignment") == "lag"


def _by_talker(values: np.ndarray, talkers: list[str]) -> np.ndarray:
    """(S, n, 2) -> (S, talkers, 2), sums over the clips of each talker."""
    names, index = np.unique(talkers, return_inverse=True)
    summed = np.zeros((len(names), len(values), 2))
    np.add.at(summed, index, values.transpose(1, 0, 2))
    return summed.transpose(1, 0, 2)


def _entry(values: list[np.ndarray], how: dict[str, int], paired: bool = False) -> dict[str, Any]:
    """As :func:`v2skit.evaluation.bootstrap.summary`, over seeds too."""
    count = values[0].shape[1]
    if not count:
        return {"mean": None, "low": None, "high": None, "n": 0}
    mean, low, high = (
        round(v, 6) for v in seeds_interval(*values, resamples=how["resamples"], seed=how["seed"], paired=paired)
    )
    return {"mean": mean, "low": low, "high": high, "n": count}
