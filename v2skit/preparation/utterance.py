"""An utterance of a corpus -> its audio and mouth crops on the clock."""

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
from v2skit.media.synthesised import is_synthesised
from v2skit.media.video import read_video
from v2skit.preparation.quality import measure_audio
from v2skit.tracking.crop import cut_mouth
from v2skit.tracking.tracker import Tracker

SILENCE_DBFS = -60.0
"""Root mean square below which an utterance counts as silent."""

MAX_DIFFERENCE_SECONDS = 0.5
"""Audio and video whose lengths differ by more do not belong together."""


@dataclass(frozen=True)
class Prepared:
    """A prepared utterance.

    Args:
        frames: length in video frames.
        audio: float32 (frames * samples_per_frame,), or None.
        crops: mouth crops, grey uint8 (frames,H,W), or None.
        notes: what was changed.
        measures: of the audio (:func:`v2skit.preparation.quality.measure_audio`), and of a video ``source_fps``,
            ``lost_share`` of the frames without a face, and ``length_difference``, audio minus video, seconds.
    """

    frames: int
    audio: np.ndarray | None
    crops: np.ndarray | None
    notes: list[str] = field(default_factory=list)
    measures: dict[str, float] = field(default_factory=dict)


def prepare_utterance(
    utterance: CorpusUtterance, tracker: Tracker, clock: Clock, crop: Crop, audio_needed: bool = True
) -> Prepared:
    """Read an utterance, and cut its mouth crops.

    Args:
        utterance: of the corpus.
        tracker: finds the mouth; not used for audio-only utterances.
        clock: rates of audio and video.
        crop: of the mouth.
        audio_needed: a video without usable audio is an error.

    Raises:
        UserError: it can't be used, and why.
    """
    for path in (utterance.audio, utterance.video):
        if path is not None and is_synthesised(path):
            raise UserError(f"{path} was synthesised by a model and is no recording; move it out of the corpus")
    if utterance.video is not None:
        return _audio_visual(utterance, utterance.video, tracker, clock, crop, audio_needed)
    if utterance.audio is None:
        raise UserError(f"{utterance.id} has neither a video nor an audio file; its corpus component must name one")
    return _audio_only(utterance, utterance.audio, clock)


def _audio_only(utterance: CorpusUtterance, path: Path, clock: Clock) -> Prepared:
    notes: list[str] = []
    if utterance.start or utterance.end is not None:
        audio = decode_audio_segment(path, clock.sample_rate, utterance.start, utterance.end, notes)
    else:
        audio = decode_audio(path, clock.sample_rate, notes=notes)
    frames = len(audio) // clock.samples_per_frame
    if not frames:
        raise UserError(f"{path} is shorter than a video frame")
    _check_level(audio, path)
    audio = _within_full_scale(audio[: frames * clock.samples_per_frame], notes)
    return Prepared(frames, audio, None, notes, measure_audio(audio, clock.sample_rate))


def _audio_visual(
    utterance: CorpusUtterance, video: Path, tracker: Tracker, clock: Clock, crop: Crop, audio_needed: bool
) -> Prepared:
    notes: list[str] = []
    info = probe(video)
    crops, track = cut_mouth(read_video(video, clock.fps), tracker, crop, clock.fps, video)
    fps = info.fps or math.nan  # a file that was decoded as video has a rate
    measures = {"source_fps": fps, "lost_share": float(track.lost.mean())}
    if abs(fps - clock.fps) > 0.01:
        notes.append(f"{fps:.2f} frames/s, resampled to {clock.fps}")
    if track.lost.any():
        notes.append(f"face lost in {track.lost.mean():.0%} of the frames, its place interpolated")
    try:
        audio, difference = _audio_of_video(utterance, info.start, len(crops), clock, notes)
        measures |= {"length_difference": difference, **measure_audio(audio, clock.sample_rate)}
    except UserError as error:
        if audio_needed:
            raise
        audio = None
        notes.append(f"without audio, for synthesis only: {error}")
    return Prepared(len(crops), audio, crops, notes, measures)


def _audio_of_video(
    utterance: CorpusUtterance, start: float, frames: int, clock: Clock, notes: list[str]
) -> tuple[np.ndarray, float]:
    """The audio of a video, from the time of its first frame on and of the same length.

    Args:
        utterance: of the corpus.
        start: time of the first video frame, seconds.
        frames: length of the video.
        clock: rates of audio and video.
        notes: to add to.

    Returns:
        float32 (frames * samples_per_frame,); by how much the audio was longer, seconds.
    """
    if utterance.audio is None:
        raise UserError(f"{utterance.video} has no audio")
    same_file = utterance.audio == utterance.video
    audio = decode_audio(utterance.audio, clock.sample_rate, start if same_file else None, notes)
    _check_level(audio, utterance.audio)
    samples = frames * clock.samples_per_frame
    difference = (len(audio) - samples) / clock.sample_rate
    if abs(difference) > MAX_DIFFERENCE_SECONDS:
        comparison = "longer" if difference > 0 else "shorter"
        raise UserError(f"the audio is {abs(difference):.2f} s {comparison} than the video")
    return _within_full_scale(np.pad(audio[:samples], (0, max(0, samples - len(audio)))), notes), difference


def _check_level(audio: np.ndarray, path: Path) -> None:
    level = 10 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-20) if len(audio) else -200.0
    if level < SILENCE_DBFS:
        raise UserError(f"{path} is silent ({level:.0f} dBFS)")


def _within_full_scale(audio: np.ndarray, notes: list[str]) -> np.ndarray:
    """Scale down audio that resampling has raised above full scale."""
    peak = float(np.abs(audio).max())
    if peak <= 1:
        return audio
    notes.append("louder than full scale once resampled, scaled down")
    return audio / peak
