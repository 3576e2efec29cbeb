"""One utterance of a corpus -> its sound and mouth crops on the clock."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from v2skit.config.features import Clock, Crop
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.errors import UserError
from v2skit.media.audio_stream import decode_audio, decode_audio_segment
from v2skit.media.container import probe
from v2skit.media.video import read_video
from v2skit.preparation.quality import measure_sound
from v2skit.tracking.crop import cut_mouth
from v2skit.tracking.tracker import Tracker

SILENCE_DBFS = -60.0
"""Root mean square below which a clip counts as silent."""

MAX_DIFFERENCE_SECONDS = 0.5
"""Sound and picture of a clip whose lengths differ by more do not belong together."""


@dataclass(frozen=True)
class Prepared:
    """What an utterance becomes.

    Args:
        frames: length in video frames.
        sound: float32 (frames * samples_per_frame,), or None.
        crops: mouth crops, gray uint8 (frames,H,W), or None.
        notes: what was changed.
        measures: of the sound (:func:`v2skit.preparation.quality.measure_sound`), and of a video ``source_fps``,
            ``lost_share`` of the frames without a face, and ``length_difference``, sound minus picture, seconds.
    """

    frames: int
    sound: np.ndarray | None
    crops: np.ndarray | None
    notes: list[str] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)


def prepare_utterance(
    utterance: CorpusUtterance, tracker: Tracker, clock: Clock, crop: Crop, audio_needed: bool = True
) -> Prepared:
    """Read an utterance.

    Args:
        utterance: what the corpus says of it.
        tracker: finds the mouth; not used for audio-only utterances.
        clock: rates of sound and picture.
        crop: of the mouth.
        audio_needed: a video without usable sound is an error.

    Raises:
        UserError: it can't be used, and why.
    """
    if utterance.video is not None:
        return _audio_visual(utterance, utterance.video, tracker, clock, crop, audio_needed)
    if utterance.audio is None:
        raise UserError(f"{utterance.id} has neither a video nor a sound file; its corpus component must name one")
    return _audio_only(utterance, utterance.audio, clock)


def _audio_only(utterance: CorpusUtterance, audio: Path, clock: Clock) -> Prepared:
    if utterance.start or utterance.end is not None:
        sound = decode_audio_segment(audio, clock.sample_rate, utterance.start, utterance.end)
    else:
        sound = decode_audio(audio, clock.sample_rate)
    frames = len(sound) // clock.samples_per_frame
    if not frames:
        raise UserError(f"{audio} is shorter than a video frame")
    notes: list[str] = []
    _check_loud(sound, audio)
    sound = _unclipped(sound[: frames * clock.samples_per_frame], notes)
    return Prepared(frames, sound, None, notes, measure_sound(sound, clock.sample_rate))


def _audio_visual(
    utterance: CorpusUtterance, video: Path, tracker: Tracker, clock: Clock, crop: Crop, audio_needed: bool
) -> Prepared:
    notes: list[str] = []
    info = probe(video)
    crops, track = cut_mouth(read_video(video, clock.fps), tracker, crop, clock.fps, video)
    fps = info.fps or math.nan  # what has been read as a video has a rate
    measures = {"source_fps": fps, "lost_share": float(track.lost.mean())}
    if abs(fps - clock.fps) > 0.01:
        notes.append(f"{fps:.2f} frames/s, resampled to {clock.fps}")
    if track.lost.any():
        notes.append(f"face lost in {track.lost.mean():.0%} of the frames, its place interpolated")
    try:
        sound, difference = _sound(utterance, info.start, len(crops), clock, notes)
        measures |= {"length_difference": difference, **measure_sound(sound, clock.sample_rate)}
    except UserError as error:
        if audio_needed:
            raise
        sound = None
        notes.append(f"without sound, for synthesis only: {error}")
    return Prepared(len(crops), sound, crops, notes, measures)


def _sound(
    utterance: CorpusUtterance, start: float, frames: int, clock: Clock, notes: list[str]
) -> tuple[np.ndarray, float]:
    """The sound of a clip, from the first video frame on and exactly as long as the video; and how much longer it was,
    seconds."""
    if utterance.audio is None:
        raise UserError(f"{utterance.video} has no sound")
    together = utterance.audio == utterance.video
    sound = decode_audio(utterance.audio, clock.sample_rate, start if together else None)
    _check_loud(sound, utterance.audio)
    samples = frames * clock.samples_per_frame
    difference = (len(sound) - samples) / clock.sample_rate
    if abs(difference) > MAX_DIFFERENCE_SECONDS:
        than = "longer" if difference > 0 else "shorter"
        raise UserError(f"the sound is {abs(difference):.2f} s {than} than the video")
    return _unclipped(np.pad(sound[:samples], (0, max(0, samples - len(sound)))), notes), difference


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
