"""A corpus -> data directories: sound and mouth crops on the clock, and a report of what was left out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path
from typing import Collection, Iterator

import numpy as np
from tqdm import tqdm

from v2skit.build import build
from v2skit.clock import Clock
from v2skit.config import flatten, to_tree
from v2skit.corpora import Corpus, Source
from v2skit.data.audio import write_audio
from v2skit.data.crop import Crop, cut_mouth
from v2skit.data.manifest import Utterance, write_manifest
from v2skit.data.media import probe, read_audio, read_span, read_video
from v2skit.data.video import write_crops
from v2skit.errors import UserError
from v2skit.files import write_text
from v2skit.settings import Component
from v2skit.trackers import Tracker

SILENCE_DBFS = -60.0
"""Root mean square below which a clip counts as silent."""

MAX_DIFFERENCE_SECONDS = 0.5
"""Sound and picture of a clip whose lengths differ by more do not belong together."""

RECORD = "prepared.jsonl"
FULL_DISK_BYTES = 1_000_000


@dataclass(frozen=True)
class Outcome:
    """What became of a source, whose files had this ``fingerprint``. ``reason``: why it was excluded, None where it was
    not; ``notes``: what was changed."""

    id: str
    frames: int = 0
    has_audio: bool = False
    reason: str | None = None
    notes: list[str] = field(default_factory=list)
    fingerprint: str = ""


@dataclass(frozen=True)
class Task:
    """How one source is prepared: from the corpus into ``folder``."""

    source: Source
    folder: Path
    clock: Clock
    crop: Crop
    audio_needed: bool


def audio_path(folder: Path, name: str) -> Path:
    """The prepared sound of an utterance."""
    return folder / "audio" / f"{name}.flac"


def video_path(folder: Path, name: str) -> Path:
    """The prepared mouth crops of an utterance."""
    return folder / "video" / f"{name}.mp4"


def prepare(
    corpus: Corpus,
    tracker: Component,
    clock: Clock,
    crop: Crop,
    output: Path,
    jobs: int = 0,
    max_failed_share: float = 0.05,
    video_only_ok: Collection[str] = (),
    force: bool = False,
) -> None:
    """Prepare every split of a corpus into ``output/<split>``.

    It goes on where an interrupted run was, and prepares again what was excluded or whose files have changed.

    Args:
        corpus: obtained.
        tracker: which one finds the mouth; each process builds its own.
        clock: rates of sound and picture.
        crop: of the mouth.
        output: the recipe's data folder.
        jobs: processes, 0: one a core.
        max_failed_share: of a split's utterances that may be excluded.
        video_only_ok: splits whose clips need no sound, since they are for synthesis.
        force: start anew.

    Raises:
        UserError: the tracker can't be used, ids are not fit, a split's folder holds something else or was prepared
            with other settings, a process was killed, or more was excluded than ``max_failed_share``.
    """
    settings = {"clock": dataclasses.asdict(clock), "crop": dataclasses.asdict(crop), "tracker": to_tree(tracker)}
    build("tracker", tracker)  # what it lacks shows before the work starts
    splits = corpus.splits()
    for name, sources in splits.items():
        _check_ids(name, sources)
    outcomes: dict[str, dict[str, Outcome]] = {}
    tasks: list[tuple[str, Task]] = []
    for name, sources in splits.items():
        outcomes[name] = _start(output / name, settings, force)
        for source in sources:
            known = outcomes[name].get(source.id)
            if known is None or known.fingerprint != _fingerprint(source):
                tasks.append((name, Task(source, output / name, clock, crop, name not in video_only_ok)))
    for name, outcome in _run(tasks, tracker, jobs or os.cpu_count() or 1):
        outcomes[name][outcome.id] = outcome
        with (output / name / RECORD).open("a", encoding="utf-8") as record:
            record.write(_line(outcome))
    for name, sources in splits.items():
        _finish(output / name, sources, outcomes[name], settings, max_failed_share)


def _start(folder: Path, settings: dict, force: bool) -> dict[str, Outcome]:
    """What is prepared already; the record then holds nothing else."""
    record, made_with = folder / RECORD, folder / "prepared_with.json"
    if not force and not made_with.exists() and folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} holds files that preparation did not write; move them away (--force deletes them)")
    if not force and made_with.exists():
        made, now = flatten(json.loads(made_with.read_text(encoding="utf-8"))), flatten(settings)
        differs = [f"{k}: {made.get(k)} there, {now.get(k)} now" for k in {**made, **now} if made.get(k) != now.get(k)]
        if differs:
            raise UserError(
                f"{folder} was prepared with other settings ({'; '.join(differs)}); every experiment of this recipe "
                "shares it: give this one a folder of its own, e.g. --set data.folder=data_other, or --force to "
                "prepare it anew for all"
            )
    if force or not made_with.exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_text(made_with, json.dumps(settings))
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    whole = (Outcome(**json.loads(line)) for line in lines if line.endswith("}"))  # a kill may cut the last one short
    prepared = {outcome.id: outcome for outcome in whole if not outcome.reason}
    write_text(record, "".join(map(_line, prepared.values())))
    return prepared


def _line(outcome: Outcome) -> str:
    return json.dumps(dataclasses.asdict(outcome)) + "\n"


def _check_ids(split: str, sources: list[Source]) -> None:
    """Raises UserError for ids that can't be keys of a table or names of files."""
    counts = Counter(source.id for source in sources)
    twice = [name for name, count in counts.items() if count > 1]
    if twice:
        raise UserError(f"split '{split}': {len(twice)} ids come twice (e.g. '{twice[0]}'); the corpus must give others")
    unfit = [name for name in counts if not name or "/" in name or name.split() != [name]]
    if unfit:
        raise UserError(f"split '{split}': ids must have no white space and no '/', '{unfit[0]}' has; rename its file")


def _fingerprint(source: Source) -> str:
    """Changes with the files of a source."""
    paths = [p for p in (source.video, source.audio) if p is not None and p.exists()]
    files = [f"{p.stat().st_size}-{p.stat().st_mtime_ns}" for p in paths]
    span = [f"{source.start}-{source.end}"] if source.start or source.end is not None else []
    return " ".join(files + span)


def _run(tasks: list[tuple[str, Task]], tracker: Component, jobs: int) -> Iterator[tuple[str, Outcome]]:
    """Prepare in several processes, with progress."""
    if not tasks:
        return
    spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
    with ProcessPoolExecutor(min(jobs, len(tasks)), spawn, _start_worker, (tracker,)) as pool:
        names = {pool.submit(_prepare_one, task): name for name, task in tasks}
        try:
            done = as_completed(names)
            for future in tqdm(done, "preparing", len(names), unit="clip", mininterval=1.0, dynamic_ncols=True):
                yield names[future], future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "a process of the preparation was killed, for lack of memory perhaps: run stage 1 again, it goes on "
                "where it was; prepare.jobs=1 takes the least memory"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


_tracker: Tracker


def _start_worker(tracker: Component) -> None:
    global _tracker
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C: the parent process lets the clip be finished
    _tracker = build("tracker", tracker)


def _prepare_one(task: Task) -> Outcome:
    """Prepare one source. Whatever its files are like, the answer is an outcome; only a full disk is an error."""
    notes: list[str] = []
    make = _audio_only if task.source.video is None else _audio_visual
    try:
        outcome = make(task, notes)
    except UserError as error:
        outcome = Outcome(task.source.id, reason=str(error), notes=notes)
    except Exception as error:
        if isinstance(error, MemoryError) or shutil.disk_usage(task.folder).free < FULL_DISK_BYTES:
            raise UserError(f"{task.source.id} can't be prepared: {error}; see to disk and memory, then go on") from error
        outcome = Outcome(task.source.id, reason=f"{type(error).__name__}: {error}", notes=notes)
    return dataclasses.replace(outcome, fingerprint=_fingerprint(task.source))


def _audio_only(task: Task, notes: list[str]) -> Outcome:
    source = task.source
    if source.start or source.end is not None:
        sound = read_span(source.audio, task.clock.sample_rate, source.start, source.end)
    else:
        sound = read_audio(source.audio, task.clock.sample_rate)
    frames = len(sound) // task.clock.samples_per_frame
    if not frames:
        raise UserError(f"{task.source.audio} is shorter than a video frame")
    _check_loud(sound, task.source.audio)
    sound = _unclipped(sound[: frames * task.clock.samples_per_frame], notes)
    write_audio(audio_path(task.folder, task.source.id), sound, task.clock.sample_rate)
    return Outcome(task.source.id, frames, True, notes=notes)


def _audio_visual(task: Task, notes: list[str]) -> Outcome:
    source, clock = task.source, task.clock
    info = probe(source.video)
    frames = read_video(source.video, clock.fps)
    crops, track = cut_mouth(frames, _tracker, task.crop, clock.fps, source.video)
    if abs(info.fps - clock.fps) > 0.01:
        notes.append(f"{info.fps:.2f} frames/s, resampled to {clock.fps}")
    if track.lost.any():
        notes.append(f"face lost in {track.lost.mean():.0%} of the frames, its place interpolated")
    frames, has_audio = len(crops), True
    try:
        sound = _sound(source, info.start, frames, clock, notes)
        write_audio(audio_path(task.folder, task.source.id), sound, clock.sample_rate)
    except UserError as error:
        if task.audio_needed:
            raise
        has_audio = False
        notes.append(f"without sound, for synthesis only: {error}")
    write_crops(video_path(task.folder, task.source.id), crops, clock.fps)
    return Outcome(source.id, frames, has_audio, notes=notes)


def _sound(source: Source, start: float, frames: int, clock: Clock, notes: list[str]) -> np.ndarray:
    """The sound of a clip, from the first video frame on and exactly as long as the video."""
    if source.audio is None:
        raise UserError(f"{source.video} has no sound")
    together = source.audio == source.video
    sound = read_audio(source.audio, clock.sample_rate, start if together else None)
    _check_loud(sound, source.audio)
    samples = frames * clock.samples_per_frame
    difference = (len(sound) - samples) / clock.sample_rate
    if abs(difference) > MAX_DIFFERENCE_SECONDS:
        than = "longer" if difference > 0 else "shorter"
        raise UserError(f"the sound is {abs(difference):.2f} s {than} than the video")
    return _unclipped(np.pad(sound[:samples], (0, max(0, samples - len(sound)))), notes)


def _check_loud(sound: np.ndarray, path: Path) -> None:
    level = 10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20) if len(sound) else -200.0
    if level < SILENCE_DBFS:
        raise UserError(f"{path} is silent ({level:.0f} dBFS)")


def _unclipped(sound: np.ndarray, notes: list[str]) -> np.ndarray:
    """Resampling may carry a loud clip beyond full scale."""
    peak = float(np.abs(sound).max())
    if peak <= 1:
        return sound
    notes.append("louder than full scale once resampled, scaled down")
    return sound / peak


def _finish(
    folder: Path, sources: list[Source], outcomes: dict[str, Outcome], settings: dict, max_failed_share: float
) -> None:
    """Write the data directory and its report."""
    by_id = {s.id: s for s in sources}
    found = [o for o in outcomes.values() if o.id in by_id]
    excluded = [o for o in found if o.reason]
    kept = [o for o in found if not o.reason]
    rows = [
        {"id": o.id, "file": str(by_id[o.id].video or by_id[o.id].audio), "reason": o.reason, "notes": o.notes}
        for o in sorted(found, key=lambda o: o.id)
        if o.reason or o.notes
    ]
    counts = {"sources": len(sources), "prepared": len(kept), "excluded": len(excluded)}
    report = json.dumps({"counts": counts, "files": rows}, indent=1)
    write_text(folder / "report.json", report + "\n")
    lines = [f"# {folder.name}: {len(kept)} of {len(sources)} prepared, {len(excluded)} excluded", ""]
    lines += [f"- excluded: {row['file']}: {row['reason']}" for row in rows if row["reason"]]
    notes = Counter(note for row in rows if not row["reason"] for note in row["notes"])
    lines += [f"- {count} x {note}" for note, count in notes.most_common()]
    write_text(folder / "report.md", "\n".join(lines) + "\n")
    print(f"{folder}: {len(kept)} utterances, {len(excluded)} excluded; {folder}/report.md")
    if len(excluded) > max_failed_share * len(sources):
        (folder / "utt2num_frames").unlink(missing_ok=True)
        raise UserError(
            f"{len(excluded)} of {len(sources)} utterances of {folder} can't be used, more than "
            f"prepare.max_failed_share ({max_failed_share:.0%}) allows; {folder}/report.md says why, "
            f"e.g. {excluded[0].id}: {excluded[0].reason}"
        )
    utterances = [
        Utterance(
            id=o.id,
            speaker=by_id[o.id].speaker,
            frames=o.frames,
            audio=audio_path(folder, o.id) if o.has_audio else None,
            video=video_path(folder, o.id) if by_id[o.id].video else None,
            text=by_id[o.id].text,
        )
        for o in kept
    ]
    content = sorted((o.id, o.frames, o.fingerprint) for o in kept)
    write_manifest(folder, utterances, {**settings, "digest": hashlib.sha256(repr(content).encode()).hexdigest()[:12]})
