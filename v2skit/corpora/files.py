"""The files of a folder of recordings, however it is arranged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

NO_RECORDINGS = ("$RECYCLE.BIN", "@eaDir")
"""Folders of a trash and of a disk station's previews; like hidden ones, they may hold copies of recordings."""

LOST_AND_FOUND = "lost+found"
"""A folder of the file system at the top of a disk, which only root may read."""


def visible_files(folder: Path) -> Iterator[Path]:
    """The files in a folder and in the folders below it, without hidden files and folders; links to folders are not
    followed.

    Raises:
        PermissionError: a folder can't be read; a corpus without its files would be another one.
    """

    def refuse(error: OSError) -> None:
        if Path(error.filename).name != LOST_AND_FOUND:
            raise error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in NO_RECORDINGS]
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and path.is_file():
                yield path
