"""A corpus -> data directories: audio and mouth crops on the clock, with a report.

The utterances are divided among jobs, each of which writes a shard of every data directory
(:mod:`v2skit.preparation.shards`); the tables are written when all jobs have ended.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from v2skit.config.features import Clock, Crop
from v2skit.config.load import identity
from v2skit.config.prepare import Prepare
from v2skit.corpora.corpus import Corpus, CorpusUtterance
from v2skit.data.data_dir import (
    PREPARED_WITH,
    SETTINGS,
    TABLES,
    Utterance,
    check_id,
    is_prepared,
    write_manifest,
)
from v2skit.errors import UserError
from v2skit.preparation.jobs import run_jobs
from v2skit.preparation.offsets import Clip, Offsets, measure_speakers
from v2skit.preparation.records import SHARDS, check_idle, keep_outcomes, records
from v2skit.preparation.report import Summary, check_losses, summarise, write_report
from v2skit.preparation.shards import Task, prepare_utterances
from v2skit.preparation.shifted_audio import delete_others, shift_audio
from v2skit.registry.build import build
from v2skit.registry.component import Component
from v2skit.system.atomic import delete_folder, finish_deletion, is_unused, write_text
from v2skit.system.checksum import sha256_of, short_digest
from v2skit.system.devices import cores
from v2skit.system.progress import ProgressBar
from v2skit.system.provenance import Provenance, worded
from v2skit.system.text_file import read_text

OFFSETS = "offsets.jsonl"
"""Measured audio-video offsets of all corpora of a data folder."""
CONTENT = ("audio", "video", SHARDS, SETTINGS)
WRITTEN = "tables.digest"
"""Of the tables as preparation wrote them, so that they are not overwritten once they are edited."""
STORAGE = 1
"""Version of the storage format."""


@dataclass(frozen=True)
class Shard:
    """The work of one job, on this or another machine."""

    number: int
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

    Resumes an interrupted run, and prepares utterances again whose files have changed. Excluded utterances are tried
    again when their files change, or where the previous run did not complete the data directory. Tables that were
    edited since are kept.

    Args:
        corpus: obtained.
        tracker: finds the mouth; each job builds its own.
        clock: rates of audio and video.
        crop: of the mouth.
        output: the recipe's data folder.
        settings: jobs, filters and the limit of exclusions.
        video_only_ok: splits whose clips need no audio, since they are for synthesis.
        force: delete prepared data and prepare everything again.
        made_of: further entries of ``settings.json``: the corpus and filters of the config.

    Raises:
        UserError: the tracker can't be used, ids are invalid, a split's folder contains other files or was prepared
            with other settings, jobs are still writing to it, a job failed, more utterances are excluded than
            ``max_failed_share`` allows, or the utterances have changed as well as the tables by hand.
    """
    made_with = settings_of(tracker, clock, crop)
    build("tracker", tracker)  # a missing package is an error before the work starts
    splits = corpus.splits()
    for name, utterances in splits.items():
        _check_ids(name, utterances)
    tasks = []
    if force:
        (output / OFFSETS).unlink(missing_ok=True)
    for name, utterances in splits.items():
        check_idle(output / name)
        _claim(output / name, made_with, force)
        needed = name not in video_only_ok
        prepared = keep_outcomes(output / name, utterances, needed)
        tasks += [Task(utterance, output / name, needed) for utterance in utterances if utterance.id not in prepared]
    if tasks:
        _run(tasks, tracker, clock, crop, settings, output)
    summaries = [summarise(output / name, utterances, clock, settings.filters) for name, utterances in splits.items()]
    for summary in summaries:
        _check_losses(summary, settings)
    offsets = _measure(summaries, clock, output / OFFSETS, settings)
    for summary in summaries:
        _complete(summary, offsets, {**made_with, **(made_of or {})})


def settings_of(tracker: Component, clock: Clock, crop: Crop) -> dict:
    """The settings that determine prepared utterances, stored in their folder."""
    return {"clock": dataclasses.asdict(clock), "crop": dataclasses.asdict(crop), "tracker": identity(tracker)}


def check_claim(folder: Path, made_with: dict) -> None:
    """Raises UserError where a split's folder is not one of these settings."""
    made = Provenance.read(folder / PREPARED_WITH)
    if made is None:
        if not is_unused(folder):
            raise UserError(
                f"{folder} contains files that preparation did not write; move them away (--force leaves them there)"
            )
        return
    differences = made.diff(Provenance({**made_with, "storage": STORAGE}))
    if differences:
        raise UserError(
            f"{folder} was prepared with other settings ({worded(differences)}); every experiment of this recipe "
            "shares it: give this one a folder of its own, e.g. --set data.folder=data_other, or prepare it again for "
            "all with --force",
            differences=differences,
        )


def _claim(folder: Path, made_with: dict, force: bool) -> None:
    """Create a split's folder, or check that it was prepared with these settings. With ``force`` prepared data are
    deleted; in a folder that was not prepared all files are left.

    Raises:
        UserError: as :func:`check_claim`; with ``force`` only where files of others would be overwritten.
    """
    path = folder / PREPARED_WITH
    finish_deletion(folder)
    if not force:
        check_claim(folder, made_with)
    elif path.exists():
        delete_folder(folder)
    else:
        theirs = next((folder / name for name in (*TABLES, *CONTENT) if (folder / name).exists()), None)
        if theirs:
            raise UserError(
                f"{theirs} was not written by preparation, or by one that was interrupted; move {folder} away, or "
                "delete it",
                path=theirs,
            )
    if not path.exists():
        Provenance({**made_with, "storage": STORAGE}).write(path)


def _check_ids(split: str, utterances: list[CorpusUtterance]) -> None:
    """Raises UserError for ids that can't be keys of a table or names of files."""
    counts = Counter(utterance.id for utterance in utterances)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise UserError(
            f"split '{split}': {len(twice)} ids are duplicates (e.g. '{twice[0]}'); the corpus must make them unique"
        )
    for name in counts:
        check_id(name, f"split '{split}'", "rename its file")


def _run(tasks: list[Task], tracker: Component, clock: Clock, crop: Crop, settings: Prepare, output: Path) -> None:
    """Prepare utterances, with progress: one job in this process, several in others."""
    count = min(settings.jobs or cores(), len(tasks))
    if settings.cluster == "local" and count == 1:
        outcomes = prepare_utterances(tasks, build("tracker", tracker), clock, crop)
        for _ in ProgressBar(outcomes, "preparing", len(tasks), unit="clip"):
            pass
        return
    shards = [Shard(number, tasks[number::count], tracker, clock, crop) for number in range(count)]
    lines = _LineCounter({task.folder for task in tasks})
    run_jobs(prepare_shard, shards, settings, output / "jobs", lines.count, len(tasks))


def prepare_shard(shard: Shard) -> None:
    """The work of a job."""
    tracker = build("tracker", shard.tracker)
    for _ in prepare_utterances(shard.tasks, tracker, shard.clock, shard.crop, shard.number):
        pass


class _LineCounter:
    """Counts new lines in the records of data directories."""

    def __init__(self, folders: Collection[Path]) -> None:
        self.folders = folders
        self._count = 0
        self._ends: dict[Path, int] = {path: path.stat().st_size for folder in folders for path in records(folder)}

    def count(self) -> int:
        """Lines since the constructor was called."""
        for path in (path for folder in self.folders for path in records(folder)):
            with path.open("rb") as file:
                file.seek(self._ends.get(path, 0))
                new = file.read()
            self._count += new.count(b"\n")
            self._ends[path] = self._ends.get(path, 0) + len(new)
        return self._count


def _check_losses(summary: Summary, settings: Prepare) -> None:
    """Raises UserError where too much is excluded; the data directory then has a report, and does not count as
    prepared."""
    try:
        check_losses(summary, settings.max_failed_share)
    except UserError:
        write_report(summary)
        if not _differ(summary.folder):  # tables that were edited are kept
            (summary.folder / "utt2num_frames").unlink(missing_ok=True)
        raise


def _measure(summaries: list[Summary], clock: Clock, record: Path, settings: Prepare) -> Offsets | None:
    """The audio-video offsets of the corpus's speakers; None where they are not to be measured."""
    clips = defaultdict(list)
    for summary in summaries:
        for o in summary.kept:
            if o.audio and o.video:
                clip = Clip(o.id, summary.folder / o.audio, summary.folder / o.video, o.frames, o.fingerprint)
                clips[summary.utterances[o.id].speaker].append(clip)
    if settings.offset == "none" or not clips:
        return None
    return Offsets(measure_speakers(clips, clock, record), corrects=settings.offset == "correct")


def _complete(summary: Summary, offsets: Offsets | None, made_with: dict) -> None:
    """Write the report and the tables of a data directory."""
    folder, clock = summary.folder, summary.clock
    write_report(summary, offsets)
    corrections = offsets.corrections if offsets else {}
    both = {o.id: summary.utterances[o.id].speaker for o in summary.kept if o.audio and o.video}
    found = {key: round(corrections.get(name, 0.0) * clock.samples_per_frame) for key, name in both.items()}
    shifts = {key: samples for key, samples in found.items() if samples}
    shifted = shift_audio(folder, summary.kept, shifts, clock.sample_rate)
    prepared = [
        Utterance(
            id=o.id,
            speaker=summary.utterances[o.id].speaker,
            frames=o.frames,
            audio=shifted.get(o.id, folder / o.audio) if o.audio else None,
            video=folder / o.video if o.video else None,
            text=summary.utterances[o.id].text,
        )
        for o in summary.kept
    ]
    content = sorted((o.id, o.frames, o.fingerprint, *([shifts[o.id]] if o.id in shifts else [])) for o in summary.kept)
    digest = short_digest(content)
    settings = {**made_with, "digest": digest}
    if _edited(folder, settings):
        print(f"{folder}: its tables were edited by hand and are kept; --force prepares it again, without the edits")
    else:
        (folder / WRITTEN).unlink(missing_ok=True)  # an interruption from here on is no edit
        write_manifest(folder, prepared, settings)
        write_text(folder / WRITTEN, _digest_of_tables(folder) + "\n")
    delete_others(folder, shifted)


def _edited(folder: Path, settings: dict) -> bool:
    """Whether the tables of a data directory were changed after they had been written from the same utterances. Raises
    UserError where the utterances have changed, too."""
    before = Provenance.read(folder / SETTINGS)
    if before is None or not _differ(folder):
        return False
    differences = before.diff(Provenance(settings))
    if differences:
        raise UserError(
            f"the tables of {folder} were edited by hand, and what they are written from has changed "
            f"({worded(differences)}); delete {folder / 'utt2num_frames'} to write them without the edits",
            differences=differences,
        )
    return True


def _differ(folder: Path) -> bool:
    """Whether the tables of a data directory are others than preparation wrote."""
    written = folder / WRITTEN
    return is_prepared(folder) and written.is_file() and read_text(written).strip() != _digest_of_tables(folder)


def _digest_of_tables(folder: Path) -> str:
    return short_digest([(name, sha256_of(folder / name)) for name in TABLES if (folder / name).exists()])
