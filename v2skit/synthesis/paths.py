"""Files of ``v2skit synth``: the videos to process, and where sound, video with speech and report are written."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from v2skit.errors import UserError
from v2skit.media.mux import SPEECH_SUFFIX, mux_path
from v2skit.media.synthesised import is_synthesised

VIDEO_SUFFIXES = tuple(
    ".mp4 .mov .mkv .avi .webm .mpg .mpeg .m4v .ts .wmv .flv .ogv .3gp .mts .m2ts .vob .mxf .asf .3g2 .dv .gif".split()
)
SOUND_SUFFIXES = (".wav", ".flac")

ALIGNMENTS = {"textgrid": ".TextGrid", "ctm": ".ctm"}
"""Format of the words with their times -> suffix of its files."""

SPEECH_FOLDER = "speech"
"""Next to a video, for its speech: there it is never taken for the sound of the video."""


def find_videos(paths: list[Path]) -> list[Path]:
    """The files, and those with a video's suffix in the folders among them, but for hidden ones and what v2skit wrote.
    Raises UserError where there are none."""
    found = []
    for path in paths:
        inside = [path]
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if _is_video(p))
        elif not path.exists():
            raise UserError.about(path, "does not exist; check the path")
        if not inside:
            deeper = any(_is_video(p) for p in path.glob("*/*"))
            remedy = f"; name its subfolders, {path / '*'}, which are not searched" if deeper else ""
            raise UserError.about(path, f"has no video in it ({', '.join(VIDEO_SUFFIXES)}){remedy}")
        found += inside
    return found


def _is_video(path: Path) -> bool:
    if path.suffix.lower() not in VIDEO_SUFFIXES or path.name.startswith(".") or not path.is_file():
        return False
    return not (path.stem.endswith(SPEECH_SUFFIX) and is_synthesised(path))


def outputs(videos: list[Path], out: Path | None, extras: Extras) -> dict[Path, Path]:
    """The sound file of each video: one file, one in a folder, or one in SPEECH_FOLDER next to the video. Of several
    videos, those whose speech and further files exist are skipped, so that the same command resumes; a single one is
    refused.

    Returns:
        video -> sound file, of those to process.

    Raises:
        UserError: several videos for one file, two of one name, another suffix, a folder that can't be written, or a
            single video whose files exist, or a sound file that v2skit did not write.
    """
    if out is None or out.is_dir() or not out.suffix:
        targets = [(out or video.parent / SPEECH_FOLDER) / f"{video.stem}.wav" for video in videos]
    elif out.suffix.lower() not in SOUND_SUFFIXES:
        raise UserError(
            f"{out}: speech is written as .wav or .flac, give such a file or a folder (create it first if its name has "
            "a suffix); --mux writes the video with its speech"
        )
    elif len(videos) > 1:
        raise UserError(f"{len(videos)} videos can't be written to one file {out}; give a folder")
    else:
        targets = [out]
    seen: set[str] = set()
    for target in targets:
        if (real := os.path.realpath(target)) in seen:
            raise UserError(f"two of the videos would be written to {target}; process them separately")
        seen.add(real)
    for target, video in zip(targets, videos, strict=True):
        if os.path.realpath(target) == os.path.realpath(video):  # which knows links in a circle
            raise UserError.about(target, "is the video itself; -o gives the speech another path")
    for folder in {target.parent for target in targets}:
        check_writable(folder)
    pairs = dict(zip(videos, targets, strict=True))
    if len(videos) == 1:
        check_replaceable(targets[0], extras.force or not extras.exist(videos[0], targets[0]))
    processed = [] if extras.force else [target for video, target in pairs.items() if extras.exist(video, target)]
    if processed:
        count = f"{len(processed)} of {len(videos)} videos"
        print(f"{count} already processed, skipped, e.g. {processed[0]} (--force processes them again)")
    return {video: target for video, target in pairs.items() if target not in processed}


def check_replaceable(path: Path, force: bool) -> None:
    """Raises UserError where a file exists, unless ``force`` is set and v2skit wrote it."""
    if not os.path.exists(path):  # noqa: PTH110  that of Path raises an error where a name is too long
        return
    if not is_synthesised(path):
        remedy = "move it away, or give another path with -o"
        raise UserError.about(path, f"exists already and was not written by this version of v2skit; {remedy}")
    if not force:
        raise UserError.about(path, "exists already; --force overwrites it, -o gives another path")


def check_writable(folder: Path) -> None:
    """Raises UserError, naming the folder, where it can't be written, or can't be created."""
    nearest = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise UserError.about(folder, f"can't be written ({error.strerror}); -o gives another folder") from error


@dataclass(frozen=True)
class Extras:
    """Further output per video: files next to the sound file, and text.

    Args:
        video: the video with the speech as its sound.
        report: that, and an HTML page about it.
        force: overwrite what exists.
        text: print what the model's heads read on the lips.
        align: write it with times, in these formats, keys of :data:`ALIGNMENTS`.
    """

    video: bool = False
    report: bool = False
    force: bool = False
    text: bool = False
    align: tuple[str, ...] = ()

    @property
    def reads(self) -> bool:
        """Whether heads read the lips."""
        return self.text or bool(self.align)

    def paths(self, video: Path, speech: Path) -> dict[str, Path]:
        """Kind -> file. Raises UserError where the video can't be copied, or as :func:`check_replaceable`."""
        paths = self._paths(video, speech)
        interrupted = is_synthesised(speech)  # some files of this video are there, and not all
        for path in paths.values():
            check_replaceable(path, self.force or interrupted)
        return paths

    def exist(self, video: Path, speech: Path) -> bool:
        """Whether a video's speech and all further files are there, written by v2skit."""
        if not is_synthesised(speech):
            return False
        try:
            return all(map(is_synthesised, self._paths(video, speech).values()))
        except UserError:
            return False

    def _paths(self, video: Path, speech: Path) -> dict[str, Path]:
        paths = {"video": mux_path(video, speech)} if self.video or self.report else {}
        if self.report:
            paths["report"] = speech.with_suffix(".html")
        return paths | {kind: speech.with_suffix(ALIGNMENTS[kind]) for kind in self.align}
