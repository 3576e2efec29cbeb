"""What audio pre-training gains over training from scratch, over seeds, amounts of video and kinds of transfer.

    tools/venv/bin/python tools/pretraining_gain.py egs/grid/exp/gain_*

Rows of the table are experiments that differ in the seed: of one data directory of training video (``data.train``,
whose shares v2skit data subset writes), one pre-trained model with the same transferred parts, one number of
fine-tuning steps, and otherwise the same settings, all read from their records. The pre-trained model is known by the
digest of its weights; where each experiment has trained its own, by the settings of that. An experiment with
``scratch: false`` is compared with the row ``scratch`` of another one with the same seed and settings other than those
of pre-training. Unfinished experiments are skipped.

The 95 % intervals are those of v2skit compare: test clips are drawn with replacement, and seeds, which the two rows
have in common, vary as Student's t. With few seeds they are wide, and rightly so; one seed has none.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePath
from typing import NamedTuple

from v2skit.cli.failures import status_of
from v2skit.config.load import to_tree
from v2skit.config.schema import MACHINE, Config
from v2skit.errors import UserError
from v2skit.evaluation.bootstrap import seeds_interval
from v2skit.evaluation.compare import terms
from v2skit.evaluation.systems import SCORES, read_run, read_system
from v2skit.recipes.run_record import config_of
from v2skit.system.provenance import Provenance

METRICS = {"estoi": 3, "wer": 1}
"""Metric -> decimals."""
SYSTEMS = ("scratch", "pretrained")
RESAMPLES = 10_000
Columns = tuple[str, str, str, int]
"""Data directory of the video, pre-trained model, transferred parts, steps: the first columns."""
PRETRAINING = ("pretrained", "transfer", "pretrain", "audio_corpus", "data.pretrain", "networks.audio_frontend")
"""Keys, or beginnings of keys, without an effect on a model from scratch."""
ANY = (
    "seed", "scratch", "loggers", "corpus.corpus_dir", "scoring.jobs", "prepare.jobs", "prepare.cluster",
    "prepare.slurm", *(f"finetune.{key}" for key in MACHINE),
)  # fmt: skip
"""The same, without an effect on a pre-trained one, or with their own place in an experiment."""


class Experiment(NamedTuple):
    """A finished experiment.

    Args:
        folder: of it.
        seed: of it.
        video: data directory of the training video.
        model: name of the experiment that made its pre-trained model or, where it made that itself, of the data.
        digest: of the pre-trained model's weights, or the settings of its own pre-training.
        transferred: parts.
        steps: of fine-tuning.
        has_scratch: whether it has the row from scratch.
        settings: flat, those that a model from scratch depends on.
    """

    folder: Path
    seed: int
    video: str
    model: str
    digest: str
    transferred: str
    steps: int
    has_scratch: bool
    settings: dict[str, object]

    @property
    def columns(self) -> Columns:
        """The first cells of its row."""
        return self.video, self.model, self.transferred, self.steps

    @property
    def row(self) -> tuple[str, ...]:
        """What experiments of one row of the table have in common."""
        return self.digest, self.transferred, _text(self.settings)

    @property
    def trained(self) -> tuple[str, int]:
        """What a model from scratch must have in common with it."""
        return _text(self.settings), self.seed


def read(folder: Path) -> Experiment | str:
    """An experiment, or what it lacks and what makes that. Raises UserError where its config is damaged."""
    if not (folder / "finetune" / "config.yaml").is_file():
        return "has no finetune/config.yaml; stage 4 makes it"
    config = config_of(folder)
    for system in SYSTEMS if config.scratch else SYSTEMS[1:]:
        if not (folder / "synth" / system / SCORES).is_file():
            return f"has no scores of row {system}; stage 6 makes them"
    tree = Provenance(to_tree(config)).values
    settings = {key: value for key, value in tree.items() if not _begins(key, (*PRETRAINING, *ANY))}
    transferred, steps = ", ".join(sorted(config.transfer)), config.finetune.steps
    return Experiment(
        folder, config.seed, config.data.train, *_model(folder, config), transferred, steps, config.scratch, settings
    )


def _model(folder: Path, config: Config) -> tuple[str, str]:
    """The pre-trained model of an experiment: its name, and its digest or what stands for that."""
    tree = Provenance(to_tree(config)).values
    if config.pretrained:
        path, record = PurePath(config.pretrained), read_run(folder / "transfer") or {}
        made_from = record.get("made_from") or {}
        digest = made_from.get("pretrained") or made_from.get("digest")  # its name in earlier versions
        name = path.parent.name if path.name == "pretrain" else path.name
        return name, str(digest or f"unknown weights in {path}")
    machine = (*ANY, *(f"pretrain.{key}" for key in MACHINE), "audio_corpus.corpus_dir")
    own = {key: value for key, value in tree.items() if _begins(key, PRETRAINING) and not _begins(key, machine)}
    return " + ".join(config.data.pretrain), _text(own)


def _begins(key: str, keys: Iterable[str]) -> bool:
    """Whether a flat key is one of others, or in one; ``data.pretrain`` is the beginning of ``data.pretrain_valid``."""
    return any(key == other or key.startswith((f"{other}.", f"{other}_")) for other in keys)


def _text(settings: dict[str, object]) -> str:
    """Settings as a key."""
    return json.dumps(settings, sort_keys=True, default=str)


def difference(one: Experiment, other: Experiment) -> str:
    """The keys of their settings, other than those of pre-training, in which experiments differ; "" for none."""
    keys = sorted({*one.settings, *other.settings})
    return ", ".join(key for key in keys if one.settings.get(key) != other.settings.get(key))


def named_apart(experiments: list[Experiment]) -> list[Experiment]:
    """Experiments whose pre-trained models, where different ones have the same name, have the digest in it."""
    digests: dict[str, set[str]] = defaultdict(set)
    for e in experiments:
        digests[e.model].add(e.digest)
    return [e._replace(model=f"{e.model} ({short(e.digest)})") if len(digests[e.model]) > 1 else e for e in experiments]


def short(digest: str) -> str:
    """A digest for people; of settings or a path, another one."""
    return digest[:8] if digest.isalnum() else hashlib.sha256(digest.encode()).hexdigest()[:8]


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


def line(columns: Columns, pairs: list[tuple[Path, Path]]) -> str:
    """A line of the table."""
    cells = [*map(str, columns), str(len(pairs))]
    for metric, decimals in METRICS.items():
        found = intervals(pairs, metric)
        if not found:
            cells += ["-"] * 3
        for sign, (mean, least, most) in zip(("", "", "+"), found):
            interval = f" [{least:{sign}.{decimals}f}, {most:{sign}.{decimals}f}]" if len(pairs) > 1 else ""
            cells.append(f"{mean:{sign}.{decimals}f}{interval}")
    return f"| {' | '.join(cells)} |"


def _apart(one: Experiment, other: Experiment) -> str:
    """How an experiment differs from another, for a note."""
    return f"{other.folder} has other {difference(one, other)}"


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
    finished = named_apart(finished)
    scratch = {experiment.trained: experiment.folder for experiment in reversed(finished) if experiment.has_scratch}
    rows: dict[tuple[str, ...], dict[int, tuple[Path, Path]]] = defaultdict(dict)
    first: dict[tuple[str, ...], Experiment] = {}
    for experiment in sorted(finished, key=lambda e: (share(e), e.columns, e.row, e.seed)):
        folder, seeds = experiment.folder, rows[experiment.row]
        alike = next((e for e in first.values() if e.columns == experiment.columns), experiment)
        if first.setdefault(experiment.row, experiment) is experiment and alike is not experiment:
            print(f"note: {folder} has a row of its own: {_apart(experiment, alike)}", file=sys.stderr)
        if experiment.seed in seeds:
            raise UserError(
                f"{seeds[experiment.seed][1]} and {folder} have the same seed and columns; give one of them"
            )
        compared = folder if experiment.has_scratch else scratch.get(experiment.trained)
        if compared:
            seeds[experiment.seed] = (compared, folder)
        else:
            lacking = "nor has an experiment of the same settings and seed"
            near = [
                e for e in finished
                if e.has_scratch and (e.video, e.steps, e.seed) == (experiment.video, experiment.steps, experiment.seed)
            ]  # fmt: skip
            lacking += f" ({_apart(experiment, near[0])})" if near else ""
            print(f"note: {folder} has no row scratch, {lacking}; skipped", file=sys.stderr)
    columns = [f"{metric}, {name}" for metric in METRICS for name in (*SYSTEMS, "difference")]
    print(f"| video | pre-trained model | transferred | steps | seeds | {' | '.join(columns)} |")
    print(f"| --- | --- | --- | --- | --- |{' --- |' * len(columns)}")
    for row, seeds in rows.items():
        if seeds:
            print(line(first[row].columns, list(seeds.values())))


if __name__ == "__main__":
    sys.exit(status_of(main, "pretraining_gain"))
