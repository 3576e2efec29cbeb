"""Answers of a listening test -> mean ratings with bootstrap intervals, without inattentive listeners."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from v2skit.errors import UserError
from v2skit.evaluation import stored_forms
from v2skit.evaluation.bootstrap import LEVEL
from v2skit.evaluation.stored_forms import check_form, read_form
from v2skit.system.state_file import damaged, read_state

TOLERATED = 0.15
"""Share of failed attention checks up to which a listener's answers count (ITU-R BS.1534-3, post-screening)."""

RANGES, MUSHRA = {"MOS, 1 to 5": (1, 5), "preferred, %": (0, 1)}, (0, 100)
"""Unit of a test's results -> lowest and highest rating; those of MUSHRA."""

_REMEDY = "ask the listener for the file again"


@dataclass(frozen=True)
class Listener:
    """One listener's answers: trial -> blind name -> rating; and how many attention checks failed."""

    name: str
    ratings: dict[str, dict[str, float]]
    checks: int
    failed: int

    @property
    def attentive(self) -> bool:
        """Whether the answers count."""
        return self.failed <= TOLERATED * self.checks


def score(key_path: Path, answers: Sequence[Path], resamples: int = 10000, seed: int = 1) -> dict[str, Any]:
    """The results of a test.

    Args:
        key_path: the key that was written with the page.
        answers: a file of each listener.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        ``unit``; ``listeners`` (number), ``excluded`` (name -> failed and all checks); ``rows``, each with ``group``,
        ``system``, ``mean``, ``low``, ``high`` and ``n``, the number of ratings.

    Raises:
        UserError: a file can't be read or is of another test, two are of one listener, or no listener is attentive.
    """
    remedy = "give the .key.json that v2skit listen wrote"
    key = read_state(key_path, remedy)
    if key is None or not {"test", "trials", "unit", "factor"} <= key.keys():
        raise UserError(f"{key_path} is not the key of a listening test; {remedy}")
    check_form(key, stored_forms.LISTENING_KEY, key_path, remedy)
    if not any(trial["counts"] for trial in key["trials"]):
        raise damaged(key_path, "no trial counts", remedy)
    listeners: dict[str, Listener] = {}
    for path in answers:
        listener = _read(path, key)
        if listener.name in listeners:
            raise UserError(f"{path}: listener '{listener.name}' has two files; leave one out")
        listeners[listener.name] = listener
    attentive = [listener for listener in listeners.values() if listener.attentive]
    excluded = {name: [found.failed, found.checks] for name, found in listeners.items() if not found.attentive}
    if not attentive:
        raise UserError("no listener passed the attention checks; ask more listeners")
    return {
        "test": key["test"],
        "unit": key["unit"],
        "listeners": len(attentive),
        "excluded": excluded,
        "level": LEVEL,
        "rows": list(_rows(key, attentive, resamples, seed)),
    }


def check_replaceable(path: Path) -> None:
    """Raises UserError where there is a file that has no results of a test, such as answers or a key."""
    remedy = "it is no results of a listening test, and is kept; give another name with -o"
    if os.path.lexists(path) and not {"listeners", "rows"} <= (read_state(path, remedy) or {}).keys():
        raise UserError(f"{path}: {remedy}", path=path)


def _read(path: Path, key: dict[str, Any]) -> Listener:
    found = read_form(path, stored_forms.ANSWERS, _REMEDY)
    if found is None:
        raise UserError(f"{path} does not exist; give the files that listeners sent")
    if found.get("test") != key["test"]:
        raise UserError(f"{path} is of another listening test than the key; leave it out, or give its key")
    ratings = {answer["trial"]: answer["ratings"] for answer in found["answers"]}
    low, high = RANGES.get(key["unit"], MUSHRA)
    for trial in key["trials"]:
        given = ratings.get(trial["id"])
        if given is None:
            raise damaged(path, f"an answer is missing: trial {trial['id']}", _REMEDY)
        if given.keys() != trial["systems"].keys():
            raise damaged(path, f"trial {trial['id']} has ratings of other sounds", _REMEDY)
        if not all(low <= rating <= high for rating in given.values()):
            raise damaged(path, f"trial {trial['id']} has a rating that is not from {low} to {high}", _REMEDY)
    checked = [(ratings[trial["id"]], trial["limits"]) for trial in key["trials"] if trial["limits"]]
    failed = sum(any(not low <= r[t] <= high for t, (low, high) in limits.items()) for r, limits in checked)
    return Listener(found["listener"], ratings, len(checked), failed)


def _rows(key: dict[str, Any], listeners: Sequence[Listener], resamples: int, seed: int) -> Any:
    """The mean of each system, within each group."""
    trials = [trial for trial in key["trials"] if trial["counts"]]
    clips = {clip: number for number, clip in enumerate(dict.fromkeys(trial["clip"] for trial in trials))}
    shape = (len(listeners), len(clips))
    sums: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros((2, *shape)))
    for trial in trials:
        for token, system in trial["systems"].items():
            for number, listener in enumerate(listeners):
                cell = sums[trial["group"], system][:, number, clips[trial["clip"]]]
                cell += (key["factor"] * listener.ratings[trial["id"]][token], 1)
    for (group, system), (total, count) in sorted(sums.items()):
        mean, low, high = crossed_interval(total, count, resamples, seed)
        yield {"group": group, "system": system, "mean": mean, "low": low, "high": high, "n": int(count.sum())}


def crossed_interval(total: np.ndarray, count: np.ndarray, resamples: int, seed: int) -> tuple[float, float, float]:
    """Mean of ratings with its interval, over listeners and clips: both are drawn with replacement, independently of
    each other (the pigeonhole bootstrap of Owen 2007).

    Args:
        total: sum of the ratings by listener and clip (L,C).
        count: number of these ratings (L,C).
        resamples: number of draws.
        seed: of the draws.

    Returns:
        mean, and its 2.5th and 97.5th percentiles over the draws, rounded to four decimals.
    """
    random = np.random.default_rng(seed)
    listeners, clips = (random.multinomial(n, np.full(n, 1 / n), resamples).astype(float) for n in total.shape)
    sums = [np.einsum("rl,lc,rc->r", listeners, values, clips, optimize=True) for values in (total, count)]
    drawn = sums[1] > 0  # a draw may have none of the listeners and clips that were combined
    low, high = np.percentile(sums[0][drawn] / sums[1][drawn], [50 - LEVEL / 2, 50 + LEVEL / 2])
    return round(float(total.sum() / count.sum()), 4), round(float(low), 4), round(float(high), 4)


def to_markdown(results: dict[str, Any]) -> str:
    """The results as a table."""
    several = any(row["group"] for row in results["rows"])
    lines = [f"| {'compared | ' if several else ''}system | {results['unit']} | ratings |"]
    lines.append("| --- " * (4 if several else 3) + "|")
    for row in results["rows"]:
        cell = f"{row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
        lines.append(f"| {row['group'] + ' | ' if several else ''}{row['system']} | {cell} | {row['n']} |")
    lines += [
        "",
        f"Listeners: {results['listeners']}. In brackets: {results['level']} % bootstrap intervals over listeners and",
    ]
    lines[-1] += " clips."
    if results["excluded"]:
        names = ", ".join(f"{name} ({failed} of {checks})" for name, (failed, checks) in results["excluded"].items())
        lines.append(f"Excluded for failed attention checks: {len(results['excluded'])}: {names}.")
    return "\n".join(lines) + "\n"
