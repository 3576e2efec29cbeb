"""A folder of which all files are generated: those of others are not replaced."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from v2skit.errors import UserError


def check_generated(folder: Path, names: Iterable[str]) -> None:
    """Check that a folder can be written.

    Args:
        folder: new, or with files of an earlier run only, which are replaced.
        names: paths in it of the files to write.

    Raises:
        UserError: it has other files.
    """
    paths = {folder / name for name in names}
    for path in folder.rglob("*"):
        if path not in paths and not path.is_dir():
            raise UserError(f"{folder} has other files ({path.relative_to(folder)}); name a new folder", path=folder)
