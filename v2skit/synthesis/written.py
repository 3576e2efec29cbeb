"""Speech of the clips of a data directory, in a folder with a list of it: only listed files are deleted, or taken for
speech."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from v2skit.data.data_dir import SilentClip, Utterance
from v2skit.errors import UserError, reason_of
from v2skit.media.synthesised import is_synthesised, write_speech
from v2skit.system.atomic import write_text
from v2skit.system.progress import ProgressBar
from v2skit.system.text_file import read_text

WRITTEN = "written.txt"
"""One name a line. A name is added before its file is written, so that after an interruption no file is missing."""

HYPOTHESES = ".text"
"""Suffix of a file with what a head read in the clips, in Kaldi's form: ``utterance-id words``."""

SCORES = "scores.jsonl"
"""Scoring writes it into the folder."""

EXAMPLES = 20
"""Errors that are listed."""

_Clip = TypeVar("_Clip", SilentClip, Utterance)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Create a folder and lock it for this process, where its file system can lock folders.

    Raises:
        UserError: another process has locked it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(opened)
        raise UserError(f"another process writes speech into {folder}; wait until it has ended", path=folder) from error
    except OSError:
        pass
    try:
        yield
    finally:
        os.close(opened)


def start_list(folder: Path, names: Iterable[str] = ()) -> None:
    """A new list, in the place of any former one."""
    write_text(folder / WRITTEN, "".join(f"{name}\n" for name in sorted(names)))


def listed(folder: Path) -> set[str] | None:
    """The names in the list; None where there is none."""
    try:
        lines = read_text(folder / WRITTEN).split("\n")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / WRITTEN} can't be read ({error}); give another folder", path=folder) from error
    return {line for line in lines if line.endswith((".wav", HYPOTHESES)) and Path(line).name == line}


def delete_listed(folder: Path) -> None:
    """Delete the sound files and hypotheses in the list, and their scores.

    Raises:
        UserError: one of them is no synthesised speech, or there is no list although there are sound files; nothing is
            deleted then.
    """
    names = listed(folder)
    if names is None:  # a version without lists made the folder, and also without marks
        names = {path.name for path in folder.glob("*.wav")}
    existing = [folder / name for name in sorted(names) if (folder / name).exists()]
    strange = [path for path in existing if path.suffix != HYPOTHESES and not is_synthesised(path)]
    if strange:
        raise UserError(
            f"{folder} contains speech of another model or other data, and {len(strange)} files, e.g. {strange[0]}, "
            "that this version of v2skit did not write and does not delete; delete or move them, or give an empty "
            "folder",
            path=folder,
        )
    for path in existing:
        path.unlink()
    (folder / SCORES).unlink(missing_ok=True)


def write_missing(
    clips: Sequence[_Clip], synthesise: Callable[[_Clip], np.ndarray], folder: Path, sample_rate: int
) -> None:
    """Synthesise speech for the clips that have no sound file yet, ``folder/<id>.wav``, with a progress bar. After an
    error the other clips are still processed.

    Args:
        clips: with their ``id``.
        synthesise: a clip -> its waveform (N,).
        folder: for the sound files.
        sample_rate: Hz.

    Raises:
        UserError: a sound file is there that is not in the list, or some clips could not be processed.
    """
    paths = {clip.id: folder / f"{clip.id}.wav" for clip in clips}
    names, done = listed(folder), {key for key, path in paths.items() if path.exists()}
    foreign = [paths[key] for key in sorted(done) if names is not None and paths[key].name not in names]
    if foreign:
        raise UserError(
            f"{foreign[0]} is not in {folder / WRITTEN}, the list of the speech in this folder; move it away, or give "
            "an empty folder",
            path=foreign[0],
        )
    remaining = [clip for clip in clips if clip.id not in done]
    failed: list[str] = []
    for clip in ProgressBar(remaining, desc=folder.name, unit="clip"):
        try:
            waveform = synthesise(clip)
        except Exception as error:  # whatever fails in one clip
            failed.append(f"{clip.id}: {reason_of(error)}")
            continue
        add_to_list(paths[clip.id])
        write_speech(paths[clip.id], [waveform], sample_rate)
    if failed:
        reasons = "\n  ".join([*failed[:EXAMPLES], *(["..."] if len(failed) > EXAMPLES else [])])
        raise UserError(f"{len(failed)} of {len(remaining)} clips could not be processed:\n  {reasons}")


def add_to_list(path: Path) -> None:
    """Add a file that is about to be written to the list of its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / WRITTEN).open("a", encoding="utf-8") as file:
        file.write(f"{path.name}\n")
