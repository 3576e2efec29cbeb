"""A video file -> its speech: the crop and clock are the model's, the code that of training's preparation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from v2skit.data.crop import cut_mouth
from v2skit.data.media import Span, read_video
from v2skit.errors import UserError
from v2skit.synth import Synthesiser
from v2skit.trackers import Tracker

SUFFIXES = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".m4v", ".ts", ".wmv", ".flv", ".ogv", ".3gp")


@dataclass(frozen=True)
class Speech:
    """Speech of a video: float32 (N,) at ``sample_rate``, as long as the video to a sample; ``lost``: share of the
    frames in which no face was found, whose mouth was interpolated."""

    waveform: np.ndarray
    sample_rate: int
    lost: float


def speak_video(synthesiser: Synthesiser, path: Path, tracker: Tracker, speaker: np.ndarray) -> Speech:
    """Speak one video; its own sound is never read.

    Args:
        synthesiser: a loaded model.
        path: any container that PyAV reads, at any frame rate.
        tracker: finds the mouth.
        speaker: from :func:`voice`.

    Raises:
        UserError: no video, damaged, or without a face in too many of its frames.
    """
    clock, span = synthesiser.config.clock, Span()
    crops = cut_mouth(read_video(path, clock.fps, span), tracker, synthesiser.config.crop, clock.fps)
    waveform = synthesiser.speak(crops.frames, speaker)
    samples = round(span.seconds * clock.sample_rate)  # frames on the clock are up to half a one longer or shorter
    waveform = np.pad(waveform, (0, max(0, samples - len(waveform))))[:samples]
    return Speech(waveform, clock.sample_rate, float(crops.lost.mean()))


def voice(synthesiser: Synthesiser, name: str | None) -> np.ndarray:
    """What the model is told of who speaks.

    Args:
        synthesiser: a loaded model.
        name: a speaker of its table, or a recording of any voice for a model with d-vectors; None: the mean voice.

    Raises:
        UserError: the model needs a voice, does not know this one or takes none.
    """
    speaker = synthesiser.model.speaker
    if not hasattr(speaker, "voice"):
        raise UserError(f"speaker '{synthesiser.config.networks.speaker.type}' can't take a voice for a video alone")
    return speaker.voice(name)


def find_videos(paths: list[Path]) -> list[Path]:
    """The files, and those with a video's suffix in the folders among them. Raises UserError where there are none."""
    found = []
    for path in paths:
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise UserError(f"{path} has no video in it ({', '.join(SUFFIXES)})")
        found += inside
    return found


def outputs(videos: list[Path], out: Path | None, force: bool) -> list[Path]:
    """Where the speech of each video goes: one file, a folder, or beside each video.

    Raises:
        UserError: several videos for one file, two of one name, or a file that is there already and not to be lost.
    """
    if out is not None and out.suffix in (".wav", ".flac"):
        if len(videos) > 1:
            raise UserError(f"{len(videos)} videos can't go into one file {out}; give a folder")
        targets = [out]
    else:
        targets = [(out or video.parent) / f"{video.stem}.wav" for video in videos]
    twice = [t for t in targets if targets.count(t) > 1]
    if twice:
        raise UserError(f"two of the videos would go into {twice[0]}; speak them apart")
    there = [t for t in targets if t.exists()]
    if there and not force:
        raise UserError(f"{there[0]} is there already; --force overwrites it, -o gives another place")
    return targets
