"""What a preparation will take, from a sample that is really prepared, into a folder that is then deleted."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable

import numpy as np
from tqdm import tqdm

from v2skit.build import build
from v2skit.corpora import Corpus, Source
from v2skit.data.media import probe
from v2skit.data.quality import rejects
from v2skit.data.shard import Outcome, Task, prepare_sources
from v2skit.errors import UserError
from v2skit.settings import Config
from v2skit.trackers import Tracker

HEADERS = 500
"""Sources of a split whose length is read from their headers; there, the hours' standard error is some 2 %."""

SPARE = 1.1
"""So much of the estimated space should be free."""


@dataclass(frozen=True)
class Estimate:
    """What the preparation of a split will take.

    Args:
        sources: in the split.
        hours: of sound or video, as published.
        margin: half of the hours' 95 % interval; 0 where the length of every source was read.
        bytes: on the disk.
        processor: seconds.
        wall: seconds of one job.
        tried: sources that were prepared for this.
        failed: reason -> how many of these.
        filtered: likewise of those that prepare.filters leave out.
    """

    sources: int
    hours: float
    margin: float
    bytes: float
    processor: float
    wall: float
    tried: int
    failed: Counter
    filtered: Counter


def estimate(
    config: Config, corpora: Iterable[Corpus], output: Path, sample: int = 20, jobs: int | None = None, seed: int = 0
) -> str:
    """Estimate a recipe's stage 1; nothing is written to its folders.

    Args:
        config: of the recipe.
        corpora: obtained.
        output: where the data directories are to be.
        sample: sources of each split to prepare.
        jobs: at once; None: those of the config.
        seed: of what is drawn.

    Returns:
        a report, Markdown.

    Raises:
        UserError: a corpus is not there, or the tracker can't be used.
    """
    tracker, found = build("tracker", config.tracker), {}
    for corpus in corpora:
        for name, sources in corpus.splits().items():
            found[name] = _split(name, sources, config, tracker, sample, np.random.default_rng(seed))
    cores = os.cpu_count() or 1
    return _markdown(found, jobs or config.prepare.jobs or cores, cores, config.prepare.cluster, _free(output))


def _split(
    name: str, sources: list[Source], config: Config, tracker: Tracker, sample: int, random: np.random.Generator
) -> Estimate:
    order = random.permutation(len(sources)).tolist()
    lengths = {n: _seconds(sources[n]) for n in tqdm(order[:HEADERS], f"{name}: headers", mininterval=1.0)}
    known = np.array([seconds for seconds in lengths.values() if seconds is not None])
    mean = float(known.mean()) if len(known) else 0.0
    error = float(known.std(ddof=1)) / math.sqrt(len(known)) if len(known) > 1 else 0.0
    error *= math.sqrt(max(0.0, 1 - len(known) / len(sources))) if sources else 0.0  # of a finite population
    tried = order[:sample]
    needed = name != config.data.test
    failed, filtered, written, processor, wall = Counter(), Counter(), 0, 0.0, 0.0
    with tempfile.TemporaryDirectory(prefix="v2skit-estimate-") as folder:
        _prepare([Task(sources[n], Path(folder) / "first", needed) for n in tried[:1]], tracker, config)
        tasks = [Task(sources[n], Path(folder) / "sample", needed) for n in tried]
        began, used = time.perf_counter(), time.process_time()
        outcomes = _prepare(tqdm(tasks, f"{name}: preparing a sample", mininterval=1.0), tracker, config)
        wall, processor = time.perf_counter() - began, time.process_time() - used
        written = sum(path.stat().st_size for path in (Path(folder) / "sample").rglob("*") if path.is_file())
    for task, outcome in zip(tasks, outcomes, strict=True):
        rejected = None if task.source.video else rejects(config.prepare.filters, outcome.measures)
        if outcome.reason:
            failed[outcome.reason.replace(str(task.source.video or task.source.audio), "FILE")] += 1
        elif rejected:
            filtered[rejected] += 1
    # Long sources take longer: the sample's share of the split is one of its seconds, where these are known.
    seconds = [lengths[n] for n in tried]
    if seconds and None not in seconds and sum(seconds) > 0:
        times = mean * len(sources) / sum(seconds)
    else:
        times = len(sources) / max(1, len(tried))
    total = len(sources) / 3600
    costs = (times * value for value in (written, processor, wall))
    return Estimate(len(sources), mean * total, 1.96 * error * total, *costs, len(tried), failed, filtered)


def _prepare(tasks: Iterable[Task], tracker: Tracker, config: Config) -> list[Outcome]:
    return list(prepare_sources(tasks, tracker, config.clock, config.crop))


def _seconds(source: Source) -> float | None:
    """From the header; None where it does not say, or can't be read, which preparation reports."""
    if source.end is not None:
        return source.end - source.start
    try:
        seconds = probe(source.video or source.audio).seconds
    except UserError:
        return None
    return None if seconds is None else max(0.0, seconds - source.start)


def _free(folder: Path) -> int:
    """Bytes that are free where a folder is, or is to be."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _markdown(found: dict[str, Estimate], jobs: int, cores: int, cluster: str, free: int) -> str:
    """The estimates of the splits and of all of them."""
    splits = list(found.values())

    def wall(estimates: list[Estimate]) -> float:
        """Jobs of this machine share its cores."""
        alone, processor = sum(e.wall for e in estimates), sum(e.processor for e in estimates)
        return max(alone / jobs, processor / cores if cluster == "local" else 0.0)

    lines = [
        f"| | sources | hours | disk | processor time | wall time, jobs: {jobs} | of the sample, failed |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, of in [*((name, [e]) for name, e in found.items()), ("all", splits)]:
        hours, margin = sum(e.hours for e in of), math.hypot(*(e.margin for e in of))
        failed, tried = sum(sum(e.failed.values()) for e in of), sum(e.tried for e in of)
        cells = (
            f"{sum(e.sources for e in of):,}",
            f"{hours:.3g} ± {margin:.2g}" if margin else f"{hours:.3g}",
            _size(sum(e.bytes for e in of)),
            _duration(sum(e.processor for e in of)),
            _duration(wall(of)),
            f"{failed} of {tried}" + (f" ({failed / tried:.0%})" if failed else ""),
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "±: 95 % interval; hours without it are exact. Disk and time go by the sample's share of the hours."]
    for name, e in found.items():
        lines += [f"- {name}: failed, {count} of {e.tried}: {reason}" for reason, count in e.failed.most_common()]
        lines += [f"- {name}: filtered, {count} of {e.tried}: {reason}" for reason, count in e.filtered.most_common()]
    wanted = SPARE * sum(e.bytes for e in splits)
    lines.append(f"- free where the data goes: {_size(free)}")
    if wanted > free:
        lines.append(
            f"- WARNING: the disk is short of {_size(wanted - free)}; make room, or name another with data.folder"
        )
    return "\n".join(lines) + "\n"


def _size(count: float) -> str:
    for unit in ("KB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:.3g} {unit}"
    return f"{count / 1000:.3g} TB"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
