"""What is in a data directory, utterance by utterance, as arrays: of a million of them that is some 60 MB."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

from v2skit.config.features import Clock
from v2skit.data.data_dir import Utterance, read_clock
from v2skit.data.index import Index, open_index
from v2skit.errors import UserError
from v2skit.media.ark import missing_file_hint, open_location
from v2skit.media.audio import read_audio
from v2skit.media.crops import read_crops
from v2skit.preparation.av_offset import LONGEST_FRAMES, Offset, measure_offset
from v2skit.preparation.shards import read_record, records

OFFSET_CLIPS = 200
"""Clips, drawn at random, that the offset is measured on; they are decoded whole, so damage within them shows."""

EXAMPLES = 20
"""Errors that are told one by one."""


class Errors:
    """Utterances that can't be used, and what is wrong with the first of them."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.examples: list[str] = []

    def add(self, key: str, error: UserError) -> None:
        """One more utterance, unless it is known."""
        if key not in self.ids and len(self.examples) < EXAMPLES:
            self.examples.append(f"{key}: {error}")
        self.ids.add(key)


@dataclass(frozen=True)
class Survey:
    """A data directory; arrays are in the order of the index.

    Args:
        index: its utterances.
        clock: that it was prepared with.
        measures: name -> float32 (N,), NaN where not measured; see :class:`v2skit.preparation.utterance.Prepared`.
        digests: ``sound``, ``text``, ``id`` -> uint64 (N,), 0 where there is none; the sound's is that of its samples.
        offset: of the sound, None where there are no clips with sound and picture.
        errors: what can't be read, or is not as long as the tables say.
    """

    index: Index
    clock: Clock
    measures: dict[str, np.ndarray]
    digests: dict[str, np.ndarray]
    offset: Offset | None
    errors: Errors


def survey(directory: Path, seed: int = 0) -> Survey:
    """Look at every utterance of a data directory, with progress.

    Lengths and digests of the sound come from the headers of the entries; only the offset's clips are decoded.

    Args:
        directory: prepared.
        seed: of the choice of these clips.

    Raises:
        UserError: the directory is missing, incomplete or inconsistent.
    """
    index, clock, errors = open_index(directory), read_clock(directory), Errors()
    digests = {name: np.zeros(len(index), np.uint64) for name in ("sound", "text", "id")}
    for number in tqdm(range(len(index)), f"checking {directory.name}", unit=" utterances", mininterval=1.0):
        u = index[number]
        digests["id"][number] = digest(u.id)
        digests["text"][number] = digest(u.text) if u.text else 0
        try:
            digests["sound"][number] = _check_sound(u, clock) if u.audio else 0
            if u.video:
                _check_crops(u)
        except UserError as error:
            errors.add(u.id, error)
    offset = measure_offset(_clips(index, clock, seed, errors), seed) if _has_clips(index) else None
    return Survey(index, clock, _measures(directory, digests["id"]), digests, offset, errors)


def digest(text: str) -> int:
    """64 bits, never 0; that two of a million texts share them has a chance of 3 in 10^8."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") or 1


def _check_sound(u: Utterance, clock: Clock) -> int:
    """The digest of an utterance's samples. Raises UserError where it is unreadable, or not of the stated length."""
    assert u.audio is not None, "only utterances with sound are checked"
    head = _head(u.audio)
    rate, channels, samples, md5 = _flac(head) if head[:4] == b"fLaC" and len(head) == 42 else (0, 0, 0, b"")
    if not (samples and any(md5)):  # another format, or a header that does not say it
        sound = read_audio(u.audio, clock.sample_rate)
        whole = np.round(sound * 32768).clip(-32768, 32767).astype("<i2")
        rate, channels, samples, md5 = clock.sample_rate, 1, len(sound), hashlib.md5(whole.tobytes()).digest()
    wanted = u.frames * clock.samples_per_frame
    if (rate, channels, samples) != (clock.sample_rate, 1, wanted):
        raise UserError(
            f"{u.audio} has {samples} samples in {channels} channels at {rate} Hz, {wanted} in one at "
            f"{clock.sample_rate} Hz are expected; prepare the data again (stage 1 --force)"
        )
    return int.from_bytes(md5[:8], "little") or 1


def _head(place: Path) -> bytes:
    try:
        file = open_location(place)
        if not isinstance(file, str):
            return file.read(42)
        with Path(file).open("rb") as whole:
            return whole.read(42)
    except OSError as error:
        raise UserError(f"sound file {place} can't be read: {error}{missing_file_hint(place)}") from error


def _flac(head: bytes) -> tuple[int, int, int, bytes]:
    """Sample rate, channels, samples, and MD5 of the samples as integers: the fields of STREAMINFO (RFC 9639, 8.2)."""
    packed = int.from_bytes(head[18:26], "big")  # 20 bits rate, 3 channels - 1, 5 bits a sample - 1, 36 samples
    return packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1, head[26:42]


def _check_crops(u: Utterance) -> None:
    """Raises UserError where mouth crops are unreadable, or not as many as stated."""
    assert u.video is not None, "only utterances with a picture are checked"
    try:
        with av.open(open_location(u.video)) as container:
            frames = container.streams.video[0].frames or len(read_crops(u.video))
    except (av.FFmpegError, OSError, IndexError) as error:
        raise UserError(f"mouth crops {u.video} can't be read ({error}); prepare them again") from error
    if frames != u.frames:
        raise UserError(
            f"{u.video} has {frames} frames, {u.frames} are expected; prepare the data again (stage 1 --force)"
        )


def _has_clips(index: Index) -> bool:
    return len(index) > max(count for count, _ in index.lacking.values())


def _clips(index: Index, clock: Clock, seed: int, errors: Errors) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Sound and mouth crops of clips drawn at random."""
    chosen = np.random.default_rng(seed).permutation(len(index))[:OFFSET_CLIPS]
    for number in tqdm(np.sort(chosen).tolist(), "offset of the sound", unit=" clips", mininterval=1.0):
        u = index[number]
        if u.audio and u.video:
            frames = min(u.frames, LONGEST_FRAMES)
            try:
                sound = read_audio(u.audio, clock.sample_rate, 0, frames * clock.samples_per_frame)
                crops = read_crops(u.video, 0, frames)
            except UserError as error:
                errors.add(u.id, error)
                continue
            if len(crops) == frames:
                yield sound, crops


def _measures(directory: Path, ids: np.ndarray) -> dict[str, np.ndarray]:
    """What preparation measured, in the order of the utterances whose ids have these digests."""
    order, columns = np.argsort(ids), {}
    ranked = ids[order]
    for path in records(directory):
        for outcome in read_record(path):
            key = np.uint64(digest(outcome.id))
            place = int(np.searchsorted(ranked, key))
            if outcome.reason or place == len(ranked) or ranked[place] != key:
                continue
            for name, value in outcome.measures.items():
                if name not in columns:
                    columns[name] = np.full(len(ids), np.nan, np.float32)
                columns[name][order[place]] = value
    return columns
