"""What audio pre-training gains over training from scratch, over seeds and amounts of training video.

    tools/venv/bin/python tools/pretraining_gain.py egs/grid/exp/share_*

Each experiment has both rows, ``pretrained`` and ``scratch``, of equal steps; seed and share of the training part are
read from its config; unfinished ones are skipped. Experiments of one share are one row of the table. The 95 %
intervals are those of v2skit compare: test clips are drawn with replacement, and seeds, which both rows of an
experiment have in common, vary as Student's t. With few seeds they are wide, and rightly so; one seed has none.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

from v2skit.cli.failures import status_of
from v2skit.evaluation.bootstrap import seeds_interval
from v2skit.evaluation.compare import terms
from v2skit.evaluation.systems import SCORES, read_config, read_system

METRICS = {"estoi": 3, "wer": 1}
"""Metric -> decimals."""
SYSTEMS = ("scratch", "pretrained")
RESAMPLES = 10_000


def unfinished(experiment: Path) -> str | None:
    """What an experiment lacks and what makes it; None for a finished one."""
    if not (experiment / "finetune" / "config.yaml").is_file():
        return "has no finetune/config.yaml; stage 4 makes it"
    for system in SYSTEMS:
        if not (experiment / "synth" / system / SCORES).is_file():
            return f"has no scores of row {system}; stage 6 makes them, with scratch: true"
    return None


def intervals(experiments: list[Path], metric: str) -> list[tuple[float, float, float]]:
    """Mean, low and high of scratch, pre-trained and their difference; empty where no clip has the metric."""
    systems = [[read_system(str(experiment / "synth" / system)) for experiment in experiments] for system in SYSTEMS]
    (scratch, pretrained), _ = terms(metric, *systems)
    if not scratch.size:
        return []
    compared = ((scratch,), (pretrained,), (pretrained, scratch))
    return [seeds_interval(*values, resamples=RESAMPLES, seed=0, paired=True) for values in compared]


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
        config = read_config(experiment)
        assert config is not None, "it is finished"
        share, seed = float(config.values.get("corpus.train_share", 1.0)), config.values.get("seed")
        if seed in groups[share]:
            raise SystemExit(f"{experiment} and {groups[share][seed]} have the same share and seed; give one of them")
        groups[share][seed] = experiment
    columns = [f"{metric}, {name}" for metric in METRICS for name in (*SYSTEMS, "difference")]
    print(f"| video | seeds | {' | '.join(columns)} |\n| --- | --- |{' --- |' * len(columns)}")
    for share, by_seed in sorted(groups.items()):
        cells = []
        for metric, decimals in METRICS.items():
            found = intervals(list(by_seed.values()), metric)
            if not found:
                cells += ["-"] * 3
            for sign, (mean, least, most) in zip(("", "", "+"), found):
                interval = f" [{least:{sign}.{decimals}f}, {most:{sign}.{decimals}f}]" if len(by_seed) > 1 else ""
                cells.append(f"{mean:{sign}.{decimals}f}{interval}")
        print(f"| {share:.0%} | {len(by_seed)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    sys.exit(status_of(main, "pretraining_gain"))
