"""Trackers side by side: frames found, speed, and how far their crops are from those of a reference tracker.

    tools/venv/bin/python tools/benchmark_trackers.py --videos DIR --tracker face_mesh --tracker mediapipe

From each folder below DIR some clips are taken. Speeds are frames per second of processor time on one core: of tracking
alone, and of the whole preparation (decoding, tracking, cropping, encoding, sound). Crops are compared after smoothing,
as :mod:`v2skit.tracking.crop` cuts them, in the frames that both trackers have; two numbers are the median and the 95th
percentile.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from v2skit.config.features import Clock, Crop
from v2skit.config.load import parse_component
from v2skit.corpora.corpus import CorpusUtterance
from v2skit.errors import UserError
from v2skit.media.crops import encode_crops
from v2skit.media.video import read_video
from v2skit.preparation.utterance import prepare_utterance
from v2skit.registry.build import build
from v2skit.tracking.crop import Track
from v2skit.tracking.smoothing import CropBoxSmoother
from v2skit.tracking.tracker import MouthPose, Tracker

CLOCK, CROP = Clock(), Crop(max_lost_share=1.0)
VIDEOS = (".mpg", ".mp4", ".avi", ".mov", ".mkv")


@dataclass
class Measured:
    """What a tracker made of the clips.

    Args:
        places: (T,4) of each clip: x, y, side, pixels, and roll, radians, of its crops; NaN without a face.
        jitter: distance of the unsmoothed mouth from the mean of its neighbours in time, pixels (frames,), each clip.
        found: frames with a face.
        frames: all frames.
        tracking_seconds, preparation_seconds: processor time.
    """

    places: list[np.ndarray] = field(default_factory=list)
    jitter: list[np.ndarray] = field(default_factory=list)
    found: int = 0
    frames: int = 0
    tracking_seconds: float = 0.0
    preparation_seconds: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, action="append", required=True, help="searched for videos; repeatable")
    parser.add_argument("--tracker", action="append", required=True, help="a component; repeatable")
    parser.add_argument("--reference", default="mediapipe", help="the tracker that the others are compared with")
    parser.add_argument("--clips", type=int, default=4, help="of each folder")
    arguments = parser.parse_args()
    clips = clips_in(arguments.videos, arguments.clips)
    if not clips:
        parser.error(f"no {' '.join(VIDEOS)} under {', '.join(map(str, arguments.videos))}")
    torch.set_num_threads(1)
    measured = {}
    for name in dict.fromkeys([*arguments.tracker, arguments.reference]):
        tracker = build("tracker", parse_component("tracker", name, "--tracker"))
        measured[name] = measure(tracker, clips)
    print(report(measured, arguments.reference, len(clips)))


def clips_in(folders: list[Path], count: int) -> list[Path]:
    """Up to ``count`` videos of every folder below these, spread over each."""
    groups: dict[Path, list[Path]] = {}
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in VIDEOS):
        groups.setdefault(path.parent, []).append(path)
    return [path for paths in groups.values() for path in paths[:: max(1, len(paths) // count)][:count]]


def measure(tracker: Tracker, clips: list[Path]) -> Measured:
    """Track and prepare the clips."""
    measured = Measured()
    for clip in clips:
        frames = list(read_video(clip, CLOCK.fps))
        started = time.process_time()
        tracker.start(clip, CLOCK.fps)
        mouths = [tracker.update(frame) for frame in frames]
        measured.tracking_seconds += time.process_time() - started
        measured.frames += len(frames)
        measured.found += sum(mouth is not None for mouth in mouths)
        measured.places.append(places(mouths))
        measured.jitter.append(jitter(mouths))
        started = time.process_time()
        try:
            prepared = prepare_utterance(
                CorpusUtterance(clip.stem, "", audio=clip, video=clip), tracker, CLOCK, CROP, False
            )
            encode_crops(prepared.crops, CLOCK.fps)
        except UserError as error:
            print(f"{clip}: {error}")
        measured.preparation_seconds += time.process_time() - started
    return measured


def places(mouths: list[MouthPose | None]) -> np.ndarray:
    """Where the crops are: x, y, side, roll (T,4)."""
    steady = CropBoxSmoother(CLOCK.fps, CROP.eye_distances, CROP.smoothing_seconds)
    known = [place for mouth in mouths for place in steady.push(mouth)]
    return Track.of([*known, *steady.finish()], CLOCK.fps).boxes


def jitter(mouths: list[MouthPose | None]) -> np.ndarray:
    """How far the mouth is from the middle between the frames before and after, pixels."""
    at = np.array([(np.nan, np.nan) if mouth is None else (mouth.x, mouth.y) for mouth in mouths]).reshape(-1, 2)
    return np.hypot(*(at[1:-1] - (at[:-2] + at[2:]) / 2).T)


def report(measured: dict[str, Measured], reference: str, clips: int) -> str:
    """Two tables, Markdown."""
    lines = [
        f"{clips} clips, {measured[reference].frames} frames",
        "",
        "| tracker | frames found | tracking, frames/s | preparation, frames/s | jitter, pixels |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, one in measured.items():
        shaken = np.concatenate(one.jitter)
        lines.append(
            f"| `{name}` | {one.found / one.frames:.1%} | {one.frames / one.tracking_seconds:.0f} "
            f"| {one.frames / one.preparation_seconds:.0f} | {spread(shaken[np.isfinite(shaken)], '{:.2f}')} |"
        )
    lines += [
        "",
        f"Differences from the crops of `{reference}`: median and 95th percentile over the frames; biases: mean and "
        "standard deviation over the clips, of the centre in distances between the eyes, along and across their line.",
        "",
        "| tracker | centre, pixels | centre, % of the side | scale, % | roll, degrees "
        "| bias along | bias across | bias of scale, % | bias of roll, radians |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    lines += [compared(name, one, measured[reference]) for name, one in measured.items() if name != reference]
    return "\n".join(lines)


def compared(name: str, one: Measured, reference: Measured) -> str:
    """A row of the second table."""
    both = [np.isfinite(a[:, 0]) & np.isfinite(b[:, 0]) for a, b in zip(one.places, reference.places)]
    clips = [differences(a[ok], b[ok]) for a, b, ok in zip(one.places, reference.places, both) if ok.any()]
    if not clips:
        return f"| `{name}` | no frame in common |"
    across, down, scale, roll, pixels = np.concatenate(clips).T
    means = np.array([clip[:, :4].mean(0) for clip in clips])
    bias = [f"{m:+.4f} ± {s:.4f}" for m, s in zip(means.mean(0), means.std(0))]
    bias[2] = f"{100 * means[:, 2].mean():+.2f} ± {100 * means[:, 2].std():.2f}"
    distance = 100 * np.hypot(across, down) / CROP.eye_distances
    cells = [
        spread(pixels, "{:.2f}"),
        spread(distance, "{:.2f}"),
        spread(100 * np.abs(np.expm1(scale)), "{:.2f}"),
        spread(np.degrees(np.abs(roll)), "{:.2f}"),
        *bias,
    ]
    return f"| `{name}` | {' | '.join(cells)} |"


def differences(one: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(T,4) and (T,4) -> (T,5): the centre's, across and down, in distances between the eyes, of the scale, natural
    logarithm, of the roll, radians; and the centres' distance, pixels."""
    x, y = (one[:, :2] - reference[:, :2]).T
    cos, sin = np.cos(reference[:, 3]), np.sin(reference[:, 3])
    eyes = reference[:, 2] / CROP.eye_distances
    across, down = (cos * x + sin * y) / eyes, (cos * y - sin * x) / eyes
    roll = (one[:, 3] - reference[:, 3] + np.pi) % (2 * np.pi) - np.pi
    return np.stack([across, down, np.log(one[:, 2] / reference[:, 2]), roll, np.hypot(x, y)], 1)


def spread(values: np.ndarray, form: str) -> str:
    """Median and 95th percentile."""
    return ", ".join(form.format(value) for value in np.percentile(values, [50, 95])) if len(values) else "-"


if __name__ == "__main__":
    main()
