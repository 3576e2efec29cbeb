"""The utterances of a data directory as arrays of measures and hashes: about 60 MB for a million utterances."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2skit.config.features import Clock
from v2skit.data.data_dir import read_clock
from v2skit.data.index import Index, open_index
from v2skit.errors import reason_of
from v2skit.preparation.av_offset import Offset, measure_offset, read_clip
from v2skit.preparation.integrity import check_audio, check_crops
from v2skit.preparation.records import read_record, records
from v2skit.system.progress import ProgressBar

OFFSET_CLIPS = 200
"""Clips, drawn at random, on which the audio delay is measured; they are decoded, which also finds damage inside."""

EXAMPLES = 20
"""Errors that are listed."""


class Errors:
    """Utterances that can't be used, and the errors of the first of them."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.examples: list[str] = []

    def add(self, key: str, error: Exception) -> None:
        """Add an utterance, unless it has an error already."""
        if key not in self.ids and len(self.examples) < EXAMPLES:
            self.examples.append(f"{key}: {reason_of(error)}")
        self.ids.add(key)


@dataclass(frozen=True)
class Survey:
    """A data directory; arrays are in the order of the index.

    Args:
        index: its utterances.
        clock: that it was prepared with.
        measures: name -> float32 (N,), NaN where not measured; see :class:`v2skit.preparation.utterance.Prepared`.
        hashes: ``audio``, ``text``, ``id`` -> uint64 (N,), 0 where there is none; that of the audio is of its samples.
        offset: delay of the audio, None where there are no clips with audio and video.
        errors: utterances that can't be read, or are not of the stated length.
    """

    index: Index
    clock: Clock
    measures: dict[str, np.ndarray]
    hashes: dict[str, np.ndarray]
    offset: Offset | None
    errors: Errors


def survey(directory: Path, seed: int = 0) -> Survey:
    """Check every utterance of a data directory, with progress.

    Lengths and hashes of the audio are from file headers; only the clips for the delay are decoded.

    Args:
        directory: prepared.
        seed: of the choice of these clips.

    Raises:
        UserError: the directory is missing, incomplete or inconsistent.
    """
    index, clock, errors = open_index(directory), read_clock(directory), Errors()
    hashes = {name: np.zeros(len(index), np.uint64) for name in ("audio", "text", "id")}
    for number in ProgressBar(range(len(index)), f"checking {directory.name}", unit=" utterances"):
        u = index[number]
        hashes["id"][number] = hash64(u.id)
        hashes["text"][number] = hash64(u.text) if u.text else 0
        try:
            hashes["audio"][number] = check_audio(u, clock) if u.audio else 0
            if u.video:
                check_crops(u)
        except Exception as error:
            errors.add(u.id, error)
    offset = measure_offset(_clips(index, clock, seed, errors), seed) if _has_clips(index) else None
    return Survey(index, clock, _measures(directory, hashes["id"]), hashes, offset, errors)


def hash64(text: str) -> int:
    """64 bits, never 0; the probability of a collision among a million texts is 3 in 10^8."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little") or 1


def _has_clips(index: Index) -> bool:
    return len(index) > max(count for count, _ in index.lacking.values())


def _clips(index: Index, clock: Clock, seed: int, errors: Errors) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Audio and mouth crops of clips drawn at random."""
    chosen = np.random.default_rng(seed).permutation(len(index))[:OFFSET_CLIPS]
    for number in ProgressBar(np.sort(chosen).tolist(), "delay of the audio", unit=" clips"):
        u = index[number]
        if u.audio and u.video:
            try:
                audio, crops = read_clip(u.audio, u.video, u.frames, clock)
            except Exception as error:
                errors.add(u.id, error)
                continue
            if len(crops) * clock.samples_per_frame == len(audio):
                yield audio, crops


def _measures(directory: Path, ids: np.ndarray) -> dict[str, np.ndarray]:
    """The measures of the records, in the order of the utterances whose ids have these hashes."""
    order, columns = np.argsort(ids), {}
    ranked = ids[order]
    for path in records(directory):
        for outcome in read_record(path):
            key = np.uint64(hash64(outcome.id))
            place = int(np.searchsorted(ranked, key))
            if outcome.reason or place == len(ranked) or ranked[place] != key:
                continue
            for name, value in outcome.measures.items():
                if name not in columns:
                    columns[name] = np.full(len(ids), np.nan, np.float32)
                columns[name][order[place]] = value
    return columns
