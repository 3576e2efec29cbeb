"""The list of the sound files that synthesis wrote into a folder: only these are deleted, or taken for its speech."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from v2skit.errors import UserError
from v2skit.media.synthesised import is_synthesised
from v2skit.system.atomic import write_text

WRITTEN = "written.txt"
"""One name a line. A name is added before its file is written, so that after an interruption no file is missing."""

SCORES = "scores.jsonl"
"""Scoring writes it into the folder."""


def start_list(folder: Path, names: Iterable[str] = ()) -> None:
    """A new list, in the place of any former one."""
    write_text(folder / WRITTEN, "".join(f"{name}\n" for name in sorted(names)))


def add_to_list(folder: Path, name: str) -> None:
    """Add a file that is about to be written."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / WRITTEN).open("a", encoding="utf-8") as file:
        file.write(f"{name}\n")


def listed(folder: Path) -> set[str] | None:
    """The names in the list; None where there is none."""
    try:
        lines = (folder / WRITTEN).read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{folder / WRITTEN} can't be read ({error}); give another folder", path=folder) from error
    return {line for line in lines if line.endswith(".wav") and Path(line).name == line}


def delete_listed(folder: Path) -> None:
    """Delete the sound files in the list, and their scores.

    Raises:
        UserError: one of them is no synthesised speech, or there is no list although there are sound files; nothing is
            deleted then.
    """
    names = listed(folder)
    if names is None:  # a version without lists made the folder, and also without marks
        names = {path.name for path in folder.glob("*.wav")}
    existing = [folder / name for name in sorted(names) if (folder / name).exists()]
    strange = [path for path in existing if not is_synthesised(path)]
    if strange:
        raise UserError(
            f"{folder} holds speech of another model or other data, and {len(strange)} files, e.g. {strange[0]}, "
            "that this version of v2skit did not write and does not delete; delete or move them, or give an empty "
            "folder",
            path=folder,
        )
    for path in existing:
        path.unlink()
    (folder / SCORES).unlink(missing_ok=True)
