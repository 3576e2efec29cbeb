"""The audio-video offset of each speaker, measured over the prepared clips of all splits of a corpus.

The measured delay includes the natural lead of the mouth: an offset is its deviation from a reference, the median of
the corpus's speakers, unless that is none of synchronous speakers.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from v2skit.config.features import Clock
from v2skit.preparation.av_offset import FEWEST_CLIPS, Offset, measure_offset, read_clip
from v2skit.system.atomic import write_text
from v2skit.system.checksum import short_digest
from v2skit.system.progress import ProgressBar
from v2skit.system.text_file import read_lines

CLIPS = 100
"""Clips of a speaker that are measured: the 95 % interval of GRID's talker s1 is then 0.2 frames wide."""

SMALLEST = 0.2
"""Smallest offset that is corrected, video frames."""

SYNCHRONOUS, TOLERANCE = -0.2, 0.5
"""Delay of synchronous audio, and the largest deviation of a corpus's median from it, video frames: talkers of GRID
measure -0.42 to -0.05, drawn mouths -0.59 to -0.22."""

FEWEST_SPEAKERS = 3
"""Of a median: that of two is as much the deviation of one as of the other."""

_OFFSET = TypeAdapter(Offset)


class Clip(NamedTuple):
    """A prepared clip with audio and video.

    Args:
        id: utterance id.
        audio: place of its audio.
        video: place of its mouth crops.
        frames: its length, video frames.
        fingerprint: of its source files.
    """

    id: str
    audio: Path
    video: Path
    frames: int
    fingerprint: str


@dataclass(frozen=True)
class Offsets:
    """The offsets of a corpus's speakers.

    Args:
        delays: speaker -> delay of the audio.
        corrects: whether offsets are corrected, or only reported.
    """

    delays: dict[str, Offset]
    corrects: bool = True

    @cached_property
    def reference(self) -> float | None:
        """The delay of synchronous audio, video frames: the median of the speakers or, where it is farther than
        :data:`TOLERANCE` from it or of fewer than :data:`FEWEST_SPEAKERS`, :data:`SYNCHRONOUS`; None where no speaker
        could be measured."""
        known = [delay.frames for delay in self.delays.values() if delay.frames is not None]
        if not known:
            return None
        median = statistics.median(known)
        typical = len(known) >= FEWEST_SPEAKERS and abs(median - SYNCHRONOUS) <= TOLERANCE
        return median if typical else SYNCHRONOUS

    @cached_property
    def corrections(self) -> dict[str, float]:
        """Speaker -> by how many video frames the audio is made earlier: the offset, where it is larger than
        :data:`SMALLEST` by more than half of the width of its 95 % interval."""
        if self.reference is None or not self.corrects:
            return {}
        found = {}
        for name, delay in self.delays.items():
            if delay.frames is not None and abs(offset := delay.frames - self.reference) - delay.width / 2 > SMALLEST:
                found[name] = round(offset, 2)
        return found


def measure_speakers(clips: Mapping[str, list[Clip]], clock: Clock, record: Path) -> dict[str, Offset]:
    """Measure the delay of the audio of each speaker; an interrupted measurement resumes.

    Args:
        clips: of each speaker.
        clock: rates of audio and video.
        record: file of earlier measurements; those of the same clips are not repeated.

    Raises:
        UserError: a clip can't be read.
    """
    known = _read_record(record)
    chosen = {name: sorted(some, key=_rank)[:CLIPS] for name, some in clips.items() if len(some) >= FEWEST_CLIPS}
    keys = {name: _digest(some) for name, some in chosen.items()}
    new = [name for name in sorted(chosen) if keys[name] not in known]
    if new:
        write_text(record, "".join(_line(key, delay) for key, delay in known.items()))  # without incomplete lines
        with record.open("a", encoding="utf-8") as file:
            for name in ProgressBar(new, "audio-video offset", unit=" speakers"):
                parts = (read_clip(clip.audio, clip.video, clip.frames, clock) for clip in chosen[name])
                known[keys[name]] = measure_offset(parts)
                file.write(_line(keys[name], known[keys[name]]))
                file.flush()
    return {name: known[keys[name]] if name in keys else Offset(len(some)) for name, some in clips.items()}


def _rank(clip: Clip) -> tuple[int, str]:
    """An order that is the same in every run, and random with regard to the order of the ids."""
    return zlib.crc32(clip.id.encode()), clip.id


def _digest(clips: list[Clip]) -> str:
    content = [(clip.id, clip.frames, clip.fingerprint) for clip in clips]
    return short_digest(content)


def _line(key: str, delay: Offset) -> str:
    return json.dumps({"key": key, **dataclasses.asdict(delay)}) + "\n"


def _read_record(path: Path) -> dict[str, Offset]:
    """Digest of the clips -> their delay; lines that were not written so, or not completely, are skipped."""
    known = {}
    for line in read_lines(path, errors="replace") if path.exists() else ():
        try:
            row = json.loads(line)
            key = row.pop("key")
            known[key] = _OFFSET.validate_json(json.dumps(row), strict=True)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            continue
    return known
