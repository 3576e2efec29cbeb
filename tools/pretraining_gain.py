"""What audio pre-training gains over training from scratch, over seeds, amounts of video and kinds of transfer.

    tools/venv/bin/python tools/pretraining_gain.py egs/grid/exp/gain_*

Rows of the table are experiments that differ in the seed: of one data directory of training video (``data.train``,
whose shares v2skit data subset writes), one pre-trained model with the same transferred parts, and one number of
fine-tuning steps, all read from their configs. An experiment with ``scratch: false`` is compared with the row
``scratch`` of another one with the same video, steps and seed. Unfinished experiments are skipped.

The 95 % intervals are those of v2skit compare: test clips are drawn with replacement, and seeds, which the two rows
have in common, vary as Student's t. With few seeds they are wide, and rightly so; one seed has none.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import NamedTuple

from v2skit.cli.failures import status_of
from v2skit.errors import UserError
from v2skit.evaluation.bootstrap import seeds_interval
from v2skit.evaluation.compare import terms
from v2skit.evaluation.systems import SCORES, read_system
from v2skit.recipes.run_record import config_of

METRICS = {"estoi": 3, "wer": 1}
"""Metric -> decimals."""
SYSTEMS = ("scratch", "pretrained")
RESAMPLES = 10_000
Row = tuple[str, str, str, int]
"""Data directory of the video, pre-trained model, transferred parts, steps: the first columns."""


class Experiment(NamedTuple):
    """A finished experiment. Its pre-trained model has the name of the experiment that made it or, where it made that
    itself, of the data."""

    folder: Path
    seed: int
    video: str
    model: str
    transferred: str
    steps: int
    has_scratch: bool

    @property
    def row(self) -> Row:
        """What experiments of one row of the table have in common."""
        return self.video, self.model, self.transferred, self.steps

    @property
    def trained(self) -> tuple[str, int, int]:
        """What a model from scratch must have in common with it."""
        return self.video, self.steps, self.seed


def read(folder: Path) -> Experiment | str:
    """An experiment, or what it lacks and what makes that. Raises UserError where its config is damaged."""
    if not (folder / "finetune" / "config.yaml").is_file():
        return "has no finetune/config.yaml; stage 4 makes it"
    config = config_of(folder)
    for system in SYSTEMS if config.scratch else SYSTEMS[1:]:
        if not (folder / "synth" / system / SCORES).is_file():
            return f"has no scores of row {system}; stage 6 makes them"
    model = PurePath(config.pretrained).name if config.pretrained else " + ".join(config.data.pretrain)
    transferred, steps = ", ".join(sorted(config.transfer)), config.finetune.steps
    return Experiment(folder, config.seed, config.data.train, model, transferred, steps, config.scratch)


def share(experiment: Experiment) -> float:
    """For the order of the table: the share at the end of a data directory's name, 1 where there is none."""
    try:
        return float(experiment.video.rpartition("_")[2])
    except ValueError:
        return 1.0


def intervals(pairs: Iterable[tuple[Path, Path]], metric: str) -> list[tuple[float, float, float]]:
    """Mean, low and high of scratch, pre-trained and their difference; empty where no clip has the metric.

    Args:
        pairs: for each seed, the experiments with the rows of :data:`SYSTEMS`.
        metric: its name.
    """
    systems = [
        [read_system(str(folder / "synth" / system)) for folder in folders]
        for system, folders in zip(SYSTEMS, zip(*pairs, strict=True), strict=True)
    ]
    (scratch, pretrained), _ = terms(metric, *systems)
    if not scratch.size:
        return []
    compared = ((scratch,), (pretrained,), (pretrained, scratch))
    return [seeds_interval(*values, resamples=RESAMPLES, seed=0, paired=True) for values in compared]


def line(row: Row, pairs: list[tuple[Path, Path]]) -> str:
    """A line of the table."""
    cells = [*map(str, row), str(len(pairs))]
    for metric, decimals in METRICS.items():
        found = intervals(pairs, metric)
        if not found:
            cells += ["-"] * 3
        for sign, (mean, least, most) in zip(("", "", "+"), found):
            interval = f" [{least:{sign}.{decimals}f}, {most:{sign}.{decimals}f}]" if len(pairs) > 1 else ""
            cells.append(f"{mean:{sign}.{decimals}f}{interval}")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiments", type=Path, nargs="+", help="folders of experiments")
    finished: list[Experiment] = []
    for folder in parser.parse_args().experiments:
        found = read(folder)
        if isinstance(found, str):
            print(f"note: {folder} {found}; skipped", file=sys.stderr)
        else:
            finished.append(found)
    scratch = {experiment.trained: experiment.folder for experiment in reversed(finished) if experiment.has_scratch}
    rows: dict[Row, dict[int, tuple[Path, Path]]] = defaultdict(dict)
    for experiment in sorted(finished, key=lambda e: (share(e), e.row, e.seed)):
        folder, seeds = experiment.folder, rows[experiment.row]
        if experiment.seed in seeds:
            raise UserError(
                f"{seeds[experiment.seed][1]} and {folder} have the same seed and columns; give one of them"
            )
        compared = folder if experiment.has_scratch else scratch.get(experiment.trained)
        if compared:
            seeds[experiment.seed] = (compared, folder)
        else:
            lacking = "nor has an experiment of the same video, steps and seed"
            print(f"note: {folder} has no row scratch, {lacking}; skipped", file=sys.stderr)
    columns = [f"{metric}, {name}" for metric in METRICS for name in (*SYSTEMS, "difference")]
    print(f"| video | pre-trained model | transferred | steps | seeds | {' | '.join(columns)} |")
    print(f"| --- | --- | --- | --- | --- |{' --- |' * len(columns)}")
    for row, seeds in rows.items():
        if seeds:
            print(line(row, list(seeds.values())))


if __name__ == "__main__":
    sys.exit(status_of(main, "pretraining_gain"))
