"""Comparison of trackers: frames with a face, speed, and differences of their crop boxes from a reference tracker's.

    tools/venv/bin/python tools/benchmark_trackers.py --videos DIR --tracker face_mesh --tracker mediapipe

Clips are drawn from each folder below DIR. Speeds are frames per second of processor time on one core, of tracking and
of all of preparation (decoding, tracking, cropping, encoding, audio). Boxes are compared after smoothing, as
:mod:`v2skit.tracking.crop` uses them, in the frames where both trackers find a face; pairs of numbers are the median
and the 95th percentile.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from argument_types import whole_number

from v2skit.cli.failures import status_of
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
    """Results of one tracker on all clips.

    Args:
        boxes: smoothed crop boxes of each clip (T,4): x, y, side, pixels, and roll, radians; NaN without a face.
        jitter: of each clip (T-2,): distance of the mouth from the mean of its neighbours in time, unsmoothed, pixels.
        found: number of frames with a face.
        frames: number of all frames.
        tracking_seconds, preparation_seconds: processor time.
    """

    boxes: list[np.ndarray] = field(default_factory=list)
    jitter: list[np.ndarray] = field(default_factory=list)
    found: int = 0
    frames: int = 0
    tracking_seconds: float = 0.0
    preparation_seconds: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=Path, action="append", required=True, help="folder with videos; repeatable")
    parser.add_argument("--tracker", action="append", required=True, help="a tracker component; repeatable")
    parser.add_argument("--reference", default="mediapipe", help="tracker with which the others are compared")
    parser.add_argument("--clips", type=whole_number, default=4, help="number of clips from each folder")
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
    """Up to ``count`` videos, evenly spaced in the sorted list, of each folder below these."""
    groups: dict[Path, list[Path]] = {}
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in VIDEOS):
        groups.setdefault(path.parent, []).append(path)
    return [path for paths in groups.values() for path in paths[:: max(1, len(paths) // count)][:count]]


def measure(tracker: Tracker, clips: list[Path]) -> Measured:
    """Track and prepare all clips with one tracker."""
    measured = Measured()
    for clip in clips:
        frames = list(read_video(clip, CLOCK.fps))
        started = time.process_time()
        tracker.start(clip, CLOCK.fps)
        mouths = [tracker.update(frame) for frame in frames]
        measured.tracking_seconds += time.process_time() - started
        measured.frames += len(frames)
        measured.found += sum(mouth is not None for mouth in mouths)
        measured.boxes.append(smoothed_boxes(mouths))
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


def smoothed_boxes(mouths: list[MouthPose | None]) -> np.ndarray:
    """Crop boxes (T,4): x, y, side, roll; NaN in long gaps."""
    smoother = CropBoxSmoother(CLOCK.fps, CROP.eye_distances, CROP.smoothing_seconds)
    boxes = [box for mouth in mouths for box in smoother.push(mouth)]
    return Track.of([*boxes, *smoother.finish()], CLOCK.fps).boxes


def jitter(mouths: list[MouthPose | None]) -> np.ndarray:
    """Distance of the mouth from its mean position in the frames before and after, pixels (T-2,)."""
    at = np.array([(np.nan, np.nan) if mouth is None else (mouth.x, mouth.y) for mouth in mouths]).reshape(-1, 2)
    return np.hypot(*(at[1:-1] - (at[:-2] + at[2:]) / 2).T)


def report(measured: dict[str, Measured], reference: str, clips: int) -> str:
    """Two Markdown tables: speed, and differences from the reference."""
    lines = [
        f"{clips} clips, {measured[reference].frames} frames",
        "",
        "| tracker | frames found | tracking, frames/s | preparation, frames/s | jitter, pixels |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, one in measured.items():
        all_jitter = np.concatenate(one.jitter)
        lines.append(
            f"| `{name}` | {one.found / one.frames:.1%} | {one.frames / one.tracking_seconds:.0f} "
            f"| {one.frames / one.preparation_seconds:.0f} | {spread(all_jitter[np.isfinite(all_jitter)], '{:.2f}')} |"
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
    """The row of one tracker in the table of differences."""
    both = [np.isfinite(a[:, 0]) & np.isfinite(b[:, 0]) for a, b in zip(one.boxes, reference.boxes)]
    clips = [differences(a[ok], b[ok]) for a, b, ok in zip(one.boxes, reference.boxes, both) if ok.any()]
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
    """Boxes (T,4) and (T,4) -> (T,5): offset of the centre along and across the line through the eyes, in distances
    between the eyes; natural logarithm of the ratio of the sides; difference of the roll, radians; distance of the
    centres, pixels."""
    x, y = (one[:, :2] - reference[:, :2]).T
    cos, sin = np.cos(reference[:, 3]), np.sin(reference[:, 3])
    eyes = reference[:, 2] / CROP.eye_distances
    across, down = (cos * x + sin * y) / eyes, (cos * y - sin * x) / eyes
    roll = (one[:, 3] - reference[:, 3] + np.pi) % (2 * np.pi) - np.pi
    return np.stack([across, down, np.log(one[:, 2] / reference[:, 2]), roll, np.hypot(x, y)], 1)


def spread(values: np.ndarray, form: str) -> str:
    """Median and 95th percentile, formatted."""
    return ", ".join(form.format(value) for value in np.percentile(values, [50, 95])) if len(values) else "-"


if __name__ == "__main__":
    sys.exit(status_of(main, "benchmark_trackers"))
