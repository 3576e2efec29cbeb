"""What audio pre-training gains over training from scratch, over seeds and amounts of training video.

    tools/venv/bin/python tools/pretraining_gain.py egs/grid/exp/share_*

Each experiment has both rows, ``pretrained`` and ``scratch``, of equal steps; seed and share of the training part are
read from its config; unfinished ones are skipped. Experiments of one share are one row of the table. The 95 %
intervals are of a bootstrap on two levels: seeds and test clips are both drawn with replacement, the same clips for
all seeds and both systems. With few seeds such intervals are wide, and rightly so; one seed has none.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import yaml

METRICS = {"estoi": 3, "wer": 1}
"""Metric -> decimals."""
SYSTEMS = ("scratch", "pretrained")
RESAMPLES = 10_000


def scores(experiment: Path, system: str, metric: str) -> dict[str, tuple[float, float]]:
    """Of each test clip with the metric: numerator and denominator of its mean; edits, in %, and words for ``wer``."""
    found = {}
    for line in scores_file(experiment, system).read_text(encoding="utf-8").splitlines():
        clip = json.loads(line)
        if metric == "wer" and (edits := clip["edits"]):
            words = edits.pop("words")
            found[clip["id"]] = (100.0 * sum(edits.values()), words)
        elif metric in clip["values"]:
            found[clip["id"]] = (clip["values"][metric], 1.0)
    return found


def scores_file(experiment: Path, system: str) -> Path:
    """The scores of a row, which stage 6 writes."""
    return experiment / "synth" / system / "scores.jsonl"


def unfinished(experiment: Path) -> str | None:
    """What an experiment lacks and what makes it; None for a finished one."""
    if not (experiment / "finetune" / "config.yaml").is_file():
        return "has no finetune/config.yaml; stage 4 makes it"
    for system in SYSTEMS:
        if not scores_file(experiment, system).is_file():
            return f"has no scores of row {system}; stage 6 makes them, with scratch: true"
    return None


def table(experiments: list[Path], metric: str) -> np.ndarray:
    """(2 systems, seeds, clips, 2): numerators and denominators of the clips with the metric in all experiments."""
    found = [[scores(experiment, system, metric) for experiment in experiments] for system in SYSTEMS]
    clips = sorted(set.intersection(*(set(one) for of_system in found for one in of_system)))
    return np.array([[[one[clip] for clip in clips] for one in of_system] for of_system in found])


def intervals(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of scratch, pre-trained and their difference (3,), and the 2.5th and 97.5th percentiles (3,) each."""
    random = np.random.default_rng(0)
    _, seeds, clips, _ = values.shape
    draws = []
    for _ in range(RESAMPLES):
        chosen = values[:, random.integers(seeds, size=seeds)][:, :, random.integers(clips, size=clips)]
        draws.append(_means(chosen))
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return _means(values), low, high


def _means(values: np.ndarray) -> np.ndarray:
    sums = values.sum(axis=(1, 2))  # (2, 2)
    scratch, pretrained = sums[:, 0] / sums[:, 1]
    return np.array([scratch, pretrained, pretrained - scratch])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", type=Path, nargs="+", help="folders of experiments")
    options = parser.parse_args()
    groups: dict[float, dict[int, Path]] = defaultdict(dict)
    for experiment in options.experiments:
        if lacking := unfinished(experiment):
            print(f"note: {experiment} {lacking}; skipped", file=sys.stderr)
            continue
        config = yaml.safe_load((experiment / "finetune" / "config.yaml").read_text(encoding="utf-8"))
        share, seed = config["corpus"].get("train_share", 1.0), config["seed"]
        if seed in groups[share]:
            raise SystemExit(f"{experiment} and {groups[share][seed]} have the same share and seed; give one of them")
        groups[share][seed] = experiment
    columns = [f"{metric}, {name}" for metric in METRICS for name in (*SYSTEMS, "difference")]
    print(f"| video | seeds | {' | '.join(columns)} |\n| --- | --- |{' --- |' * len(columns)}")
    for share, by_seed in sorted(groups.items()):
        cells = []
        for metric, decimals in METRICS.items():
            values = table(list(by_seed.values()), metric)
            if not values.size:
                cells += ["-"] * 3
                continue
            means, low, high = intervals(values)
            for sign, mean, least, most in zip(("", "", "+"), means, low, high, strict=True):
                interval = f" [{least:{sign}.{decimals}f}, {most:{sign}.{decimals}f}]" if len(by_seed) > 1 else ""
                cells.append(f"{mean:{sign}.{decimals}f}{interval}")
        print(f"| {share:.0%} | {len(by_seed)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
