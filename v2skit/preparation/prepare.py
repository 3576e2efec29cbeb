"""A corpus -> data directories: sound and mouth crops on the clock, and a report of what was left out.

The utterances are dealt out to jobs, each of which writes a shard of every data directory
(:mod:`v2skit.preparation.shards`); the tables are written when all are done.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import shutil
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from v2skit.config.features import Clock, Crop
from v2skit.config.load import to_tree
from v2skit.config.schema import Prepare
from v2skit.corpora.corpus import Corpus, CorpusUtterance
from v2skit.data.data_dir import Utterance, write_manifest
from v2skit.errors import UserError
from v2skit.preparation.jobs import run_jobs
from v2skit.preparation.quality import rejects
from v2skit.preparation.shards import (
    Outcome,
    Task,
    check_idle,
    keep_outcomes,
    prepare_utterances,
    read_outcomes,
    records,
)
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.system.atomic import write_text
from v2skit.system.devices import cores
from v2skit.system.provenance import Provenance, worded

PREPARED_WITH = "prepared_with.json"
STORAGE = 1
"""Changes with the way in which utterances are stored."""


@dataclass(frozen=True)
class Job:
    """A shard's share of the work, on whatever machine."""

    shard: int
    tasks: list[Task]
    tracker: Component
    clock: Clock
    crop: Crop


def prepare(
    corpus: Corpus,
    tracker: Component,
    clock: Clock,
    crop: Crop,
    output: Path,
    settings: Prepare = Prepare(),
    video_only_ok: Collection[str] = (),
    force: bool = False,
    made_of: dict | None = None,
) -> None:
    """Prepare every split of a corpus into ``output/<split>``.

    It goes on where an interrupted run was, and prepares again what has changed. What was excluded is tried again when
    its file changes, or where the run did not come to its end.

    Args:
        corpus: obtained.
        tracker: which one finds the mouth; each job builds its own.
        clock: rates of sound and picture.
        crop: of the mouth.
        output: the recipe's data folder.
        settings: jobs, and what is left out.
        video_only_ok: splits whose clips need no sound, since they are for synthesis.
        force: start anew.
        made_of: more for the record in ``settings.json``: the corpus and filters as the config has them.

    Raises:
        UserError: the tracker can't be used, ids are not fit, a split's folder holds something else or was prepared
            with other settings, jobs are still writing to it, a job failed, or more was excluded than
            ``max_failed_share``.
    """
    made_with = settings_of(tracker, clock, crop)
    build("tracker", tracker)  # what it lacks shows before the work starts
    splits = corpus.splits()
    for name, utterances in splits.items():
        _check_ids(name, utterances)
    tasks = []
    for name, utterances in splits.items():
        check_idle(output / name)
        _claim(output / name, made_with, force)
        needed = name not in video_only_ok
        prepared = keep_outcomes(output / name, utterances, needed)
        tasks += [Task(utterance, output / name, needed) for utterance in utterances if utterance.id not in prepared]
    if tasks:
        _run(tasks, tracker, clock, crop, settings, output)
    for name, utterances in splits.items():
        _finish(output / name, utterances, {**made_with, **(made_of or {})}, clock, settings)


def settings_of(tracker: Component, clock: Clock, crop: Crop) -> dict:
    """What utterances are prepared with, for their folder's record."""
    return {"clock": dataclasses.asdict(clock), "crop": dataclasses.asdict(crop), "tracker": to_tree(tracker)}


def check_claim(folder: Path, made_with: dict) -> None:
    """Raises UserError where a split's folder is not one of these settings."""
    made = Provenance.read(folder / PREPARED_WITH)
    if made is None:
        if folder.exists() and any(folder.iterdir()):
            raise UserError(
                f"{folder} holds files that preparation did not write; move them away (--force deletes them)"
            )
        return
    differences = made.diff(Provenance({**made_with, "storage": STORAGE}))
    if differences:
        raise UserError(
            f"{folder} was prepared with other settings ({worded(differences)}); every experiment of this recipe "
            "shares it: give this one a folder of its own, e.g. --set data.folder=data_other, or --force to "
            "prepare it anew for all",
            differences=differences,
        )


def _claim(folder: Path, made_with: dict, force: bool) -> None:
    """Make a split's folder, or see that it is one of these settings."""
    path = folder / PREPARED_WITH
    if not force:
        check_claim(folder, made_with)
    if force or not path.exists():
        shutil.rmtree(folder, ignore_errors=True)
        Provenance({**made_with, "storage": STORAGE}).write(path)


def _check_ids(split: str, utterances: list[CorpusUtterance]) -> None:
    """Raises UserError for ids that can't be keys of a table or names of files."""
    counts = Counter(utterance.id for utterance in utterances)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise UserError(
            f"split '{split}': {len(twice)} ids come twice (e.g. '{twice[0]}'); the corpus must give others"
        )
    unfit = [name for name in counts if not name or "/" in name or name.split() != [name]]
    if unfit:
        raise UserError(f"split '{split}': ids must have no white space and no '/', '{unfit[0]}' has; rename its file")


def _run(tasks: list[Task], tracker: Component, clock: Clock, crop: Crop, settings: Prepare, output: Path) -> None:
    """Prepare utterances, with progress: one job in this process, several in others."""
    count = min(settings.jobs or cores(), len(tasks))
    if settings.cluster == "local" and count == 1:
        outcomes = prepare_utterances(tasks, build("tracker", tracker), clock, crop)
        for _ in tqdm(outcomes, "preparing", len(tasks), unit="clip", mininterval=1.0, dynamic_ncols=True):
            pass
        return
    jobs = [Job(shard, tasks[shard::count], tracker, clock, crop) for shard in range(count)]
    lines = _Lines({task.folder for task in tasks})
    run_jobs(run_job, jobs, settings, output / "jobs", lines.count, len(tasks))


def run_job(job: Job) -> None:
    """Prepare a shard."""
    for _ in prepare_utterances(job.tasks, build("tracker", job.tracker), job.clock, job.crop, job.shard):
        pass


class _Lines:
    """Counts what is added to the records of data directories."""

    def __init__(self, folders: Collection[Path]) -> None:
        self.folders = folders
        self._counts: dict[Path, int] = {}
        self._ends: dict[Path, int] = {path: path.stat().st_size for folder in folders for path in records(folder)}

    def count(self) -> int:
        """Lines since it was made."""
        for folder in self.folders:
            for path in records(folder):
                with path.open("rb") as file:
                    file.seek(self._ends.get(path, 0))
                    new = file.read()
                self._counts[path] = self._counts.get(path, 0) + new.count(b"\n")
                self._ends[path] = self._ends.get(path, 0) + len(new)
        return sum(self._counts.values())


def _finish(folder: Path, utterances: list[CorpusUtterance], made_with: dict, clock: Clock, settings: Prepare) -> None:
    """Write the data directory and its report."""
    by_id = {s.id: s for s in utterances}
    found = sorted((o for o in read_outcomes(folder).values() if o.id in by_id), key=lambda o: o.id)
    excluded = [o for o in found if o.reason]
    kept: list[Outcome] = []
    filtered: defaultdict[str, list[Outcome]] = defaultdict(list)
    for o in found:
        if not o.reason:
            rejected = rejects(settings.filters, o.measures) if by_id[o.id].video is None else None
            (filtered[rejected] if rejected else kept).append(o)
    hours = {"kept": _hours(kept, clock), **{why: _hours(some, clock) for why, some in sorted(filtered.items())}}
    left_out = {why: len(some) for why, some in sorted(filtered.items())}
    counts = {"sources": len(utterances), "prepared": len(kept), "excluded": len(excluded)}
    if left_out:
        counts["filtered"] = sum(left_out.values())
    rows: list[dict[str, Any]] = [
        {"id": o.id, "file": str(by_id[o.id].video or by_id[o.id].audio), "reason": o.reason, "notes": o.notes}
        for o in found
        if o.reason or o.notes
    ]
    report = {"counts": counts, "hours": hours, "filtered": left_out, "files": rows}
    write_text(folder / "report.json", json.dumps(report, indent=1) + "\n")
    told = f"{len(kept)} of {len(utterances)} prepared, {len(excluded)} excluded; {hours['kept']:.2f} h"
    lines = [f"# {folder.name}: {told}", ""]
    lines += [f"- filtered: {count} ({hours[why]:.2f} h) {why}" for why, count in left_out.items()]
    for file, why in ((row["file"], row["reason"]) for row in rows if row["reason"]):
        lines.append(f"- excluded: {why if file in why else f'{file}: {why}'}")
    notes = Counter(note for o in found if not o.reason for note in o.notes)
    lines += [f"- {count} x {note}" for note, count in notes.most_common()]
    write_text(folder / "report.md", "\n".join(lines) + "\n")
    also = f", {counts['filtered']} filtered" if left_out else ""
    told = f"{len(kept)} utterances, {len(excluded)} excluded{also}, {hours['kept']:.2f} h"
    print(f"{folder}: {told}; {folder}/report.md")
    if len(excluded) > settings.max_failed_share * len(utterances):
        (folder / "utt2num_frames").unlink(missing_ok=True)
        share = math.ceil(100 * len(excluded) / len(utterances)) / 100
        without = f"; or do without them: --set prepare.max_failed_share={share:g}"
        raise UserError(
            f"{len(excluded)} of {len(utterances)} utterances of {folder} can't be used, more than "
            f"prepare.max_failed_share ({settings.max_failed_share:.0%}) allows; {folder}/report.md says why, "
            f"e.g. {excluded[0].id}: {excluded[0].reason}" + (without if kept else "")
        )
    if filtered and not kept:
        (folder / "utt2num_frames").unlink(missing_ok=True)
        raise UserError(
            f"prepare.filters leave nothing of {folder}: {', '.join(f'{n} {why}' for why, n in left_out.items())}; "
            "set them to less, or to null, and run stage 1 again"
        )
    prepared = [
        Utterance(
            id=o.id,
            speaker=by_id[o.id].speaker,
            frames=o.frames,
            audio=folder / o.audio if o.audio else None,
            video=folder / o.video if o.video else None,
            text=by_id[o.id].text,
        )
        for o in kept
    ]
    content = sorted((o.id, o.frames, o.fingerprint) for o in kept)
    digest = hashlib.sha256(repr(content).encode()).hexdigest()[:12]
    write_manifest(folder, prepared, {**made_with, "digest": digest})


def _hours(outcomes: list[Outcome], clock: Clock) -> float:
    return round(sum(o.frames for o in outcomes) / clock.fps / 3600, 4)
