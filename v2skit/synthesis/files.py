"""``v2skit synth VIDEO...``: files in, sound files out, and beside them what else was asked for."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
from tqdm import tqdm

from v2skit.errors import UserError
from v2skit.media.audio import write_audio_chunks
from v2skit.media.mux import SPEECH_SUFFIX, mux, mux_path
from v2skit.registry.component import Component
from v2skit.registry.kinds import arguments
from v2skit.registry.plugins import registry
from v2skit.synthesis.api import VideoToSpeech
from v2skit.synthesis.video import ClipSpeech
from v2skit.system.atomic import atomic_write
from v2skit.system.extras import needs
from v2skit.tracking.crop import Track
from v2skit.tracking.follow import FacesError
from v2skit.tracking.tracker import Tracker

SUFFIXES = tuple(
    ".mp4 .mov .mkv .avi .webm .mpg .mpeg .m4v .ts .wmv .flv .ogv .3gp .mts .m2ts .vob .mxf .asf .3g2 .dv .gif".split()
)
OTHER_SOUND = (".mp3", ".m4a", ".aac", ".ogg", ".opus", ".wma", ".aiff")


def find_videos(paths: list[Path]) -> list[Path]:
    """The files, and those with a video's suffix in the folders among them. Raises UserError where there are none."""
    found = []
    for path in paths:
        inside = [path]
        if path.is_dir():
            videos = (p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.stem.endswith(SPEECH_SUFFIX))
            inside = sorted(videos)
        if not inside:
            raise UserError(f"{path} has no video in it ({', '.join(SUFFIXES)})")
        found += inside
    return found


def outputs(videos: list[Path], out: Path | None, force: bool) -> tuple[list[Path], list[Path]]:
    """Where the speech of each video goes: one file, a folder, or beside each video. Of several videos, those whose
    speech is there are left out, so that the same command goes on where it was.

    Returns:
        the videos to be spoken, and a sound file for each.

    Raises:
        UserError: a video is missing, several videos for one file, two of one name, another kind of file, or one that
            is there already and not to be lost.
    """
    missing = [video for video in videos if not video.exists()]
    if missing:
        raise UserError(f"{missing[0]} does not exist; check the path")
    suffix = "" if out is None or out.is_dir() else out.suffix.lower()
    if out is not None and suffix in (".wav", ".flac"):
        if len(videos) > 1:
            raise UserError(f"{len(videos)} videos can't go into one file {out}; give a folder")
        targets = [out]
    elif suffix in (*OTHER_SOUND, *SUFFIXES):
        raise UserError(f"{out}: speech is written as .wav or .flac; --mux writes the video with it")
    else:
        targets = [(out or video.parent) / f"{video.stem}.wav" for video in videos]
    twice = [t for t in targets if targets.count(t) > 1]
    if twice:
        raise UserError(f"two of the videos would go into {twice[0]}; speak them apart")
    own = [t for t, video in zip(targets, videos, strict=True) if t.resolve() == video.resolve()]
    if own:
        raise UserError(f"{own[0]} is the video itself; -o gives the speech another place")
    there = [] if force else [t for t in targets if t.exists()]
    if there and len(videos) == 1:
        raise UserError(f"{there[0]} is there already; --force overwrites it, -o gives another place")
    if there:
        print(f"{len(there)} of {len(videos)} are there already, e.g. {there[0]}, and left as they are (--force: anew)")
    todo = [(video, target) for video, target in zip(videos, targets, strict=True) if target not in there]
    return [video for video, _ in todo], [target for _, target in todo]


@dataclass(frozen=True)
class Extras:
    """What is written beside the speech: the video with it in, a report; ``force``: over what is there."""

    video: bool = False
    report: bool = False
    force: bool = False

    def paths(self, video: Path, speech: Path) -> dict[str, Path]:
        """Where these go. Raises UserError where that can't be, or where something is that is not to be lost."""
        if not (self.video or self.report):
            return {}
        paths = {"video": mux_path(video, speech)}
        if self.report:
            paths["report"] = speech.with_suffix(".html")
        there = next((path for path in paths.values() if path.exists() and not self.force), None)
        if there:
            raise UserError(f"{there} is there already; --force overwrites it, -o gives another place")
        return paths


def speak_files(
    model: VideoToSpeech,
    videos: list[Path],
    targets: list[Path],
    tracker: Tracker,
    voice: str | None,
    extras: Extras,
    facts: dict[str, str],
) -> None:
    """Speak videos into sound files, with progress. A video that can't be spoken does not keep the others from it.

    Args:
        model: a loaded one.
        videos: files.
        targets: a sound file for each.
        tracker: of the mouths.
        voice: as :meth:`VideoToSpeech.synthesise` takes it.
        extras: what else to write.
        facts: of the synthesis, for the report.

    Raises:
        UserError: a video could not be spoken; all that could not are named.
    """
    model.voice(voice)  # a wrong one shows before the work begins
    if extras.report:
        with needs("evaluate", "--report"):
            import_module("v2skit.evaluation.video_report")
    failed = []
    for number, (video, target) in enumerate(zip(videos, targets, strict=True), 1):
        label = video.name if len(videos) == 1 else f"{number}/{len(videos)} {video.name}"
        with tqdm(desc=label, unit="frame", dynamic_ncols=True, leave=False, disable=None) as bar:
            try:
                paths, progress = extras.paths(video, target), partial(_show, bar, model.fps)
                speech = model.begin(video, voice=voice, tracker=tracker, progress=progress)
                samples = write_audio_chunks(target, speech.pieces(), model.sample_rate)
                _write(paths, video, target, speech, facts)
            except FacesError as error:
                picture = target.with_name(f"{target.stem}.faces.png")
                write_picture(picture, error.picture)
                failed.append(f"{video}: {error}; {picture} shows them")
                continue
            except (UserError, OSError) as error:
                if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                    raise
                failed.append(str(error) if str(error).startswith(str(video)) else f"{video}: {error}")
                continue
        print(f"{target}: {samples / model.sample_rate:.2f} s{_told(speech.track)}")
        for name, path in paths.items():
            print(f"  {name}: {path}")
    if failed:
        raise UserError(f"{len(failed)} of {len(videos)} videos could not be spoken:\n  " + "\n  ".join(failed))


def _show(bar: tqdm, fps: int, done: float, total: float | None) -> None:
    if total is not None:
        bar.total = max(round(total * fps), round(done * fps))
    bar.update(round(done * fps) - bar.n)


def _told(track: Track) -> str:
    if not track.lost.any():
        return ""
    silent = f", silent for {track.silent.sum() / track.fps:.1f} s" if track.silent.any() else ""
    return f"; no face in {track.lost.mean():.0%} of the frames{silent}"


def _write(paths: dict[str, Path], video: Path, target: Path, speech: ClipSpeech, facts: dict[str, str]) -> None:
    """Write the extras."""
    if "video" in paths:
        mux(video, target, paths["video"])
    if "report" in paths:
        from v2skit.evaluation.video_report import write_report

        write_report(paths["report"], paths["video"], target, speech.track, speech.strip, facts)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a PNG of RGB uint8 (H,W,3)."""
    from PIL import Image

    with atomic_write(path) as part:
        Image.fromarray(picture).save(part, format="png")


def with_face(tracker: Component, face: int | None) -> Component:
    """The choice of a tracker that follows face ``face``. Raises UserError where it can't choose one."""
    if face is None:
        return tracker
    if "face" not in arguments("tracker", registry().entry("tracker", tracker.type).load()):
        raise UserError(f"tracker '{tracker.type}' can't choose a face; leave --face out, or take --tracker face_mesh")
    return replace(tracker, args={**tracker.args, "face": face})
